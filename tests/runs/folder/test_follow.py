"""kontrast watch: what it reads of a run folder that grows, and the frame that it shows."""

import json
import os
import subprocess
import sys

import pytest

from kontrast.core.errors import UserError
from kontrast.evaluation.look import Look
from kontrast.reporting.watch_frame import BLOCKS, Snapshot, frame, spark
from kontrast.runs.folder.follow import POINTS, Curve, Follower
from kontrast.runs.folder.lock import HOLDER, lock_folder
from kontrast.runs.folder.message_file import MessageLog
from kontrast.runs.folder.monitor_file import append_look, keep_looks, read_looks
from tests.support.command import call

pytestmark = pytest.mark.quick


def record(step, loss=1.0, health=None, total=100):
    numbers = {"step": step, "total": total, "loss": loss, "seconds": step / 10, "rate": 100.0, "wait": 0.01}
    return json.dumps(numbers | {"terms": {"contrast": loss}, "health": health}) + "\n"


HEALTH = {"effective_rank": 12.0, "width": 32, "spread": 0.9, "alignment": 0.2, "uniformity": -2.5, "rows": 64}


def look(step, **values):
    return Look(step, step / 10, 0.05, 256, values)


def shown(folder, width=120):
    return frame(Follower(folder.path).look(), width, 40).plain


def test_a_run_is_followed_while_it_grows(folder):
    follower = Follower(folder.path)
    assert follower.look().state == "stopped"
    with lock_folder(folder.path, "kontrast train"):
        assert follower.look().state == "preparing"
        folder.append("metrics.jsonl", record(1, 5.0, HEALTH) + record(2, 4.0)[:20])  # half of a line
        now = follower.look()
        assert (now.state, now.step["step"], now.losses) == ("training", 1, [(1, 5.0)])
        folder.append("metrics.jsonl", record(2, 4.0)[20:] + record(3, 3.0))
        now = follower.look()
        assert now.losses == [(1, 5.0), (2, 4.0), (3, 3.0)]
        assert now.health["step"] == 1
        folder.append("metrics.jsonl", record(100))
        assert follower.look().state == "evaluating"
    assert follower.look().state == "stopped"
    folder.write("metrics.jsonl", record(1, 7.0) + record(2, 6.0))  # what a resume does
    assert follower.look().losses == [(1, 7.0), (2, 6.0)]


def test_a_killed_process_has_stopped_the_run_and_one_elsewhere_has_not(folder):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    told = {"process": dead.pid, "host": os.uname().nodename, "since": "2026-01-01 10:00:00", "doing": "kontrast train"}
    folder.write(HOLDER, json.dumps(told))
    now = Follower(folder.path).look()
    assert now.state == "stopped"
    assert f"kontrast train --resume {folder.path}" in now.who
    folder.write(HOLDER, json.dumps({**told, "host": "another"}))
    assert Follower(folder.path).look().state == "preparing"


def test_the_loss_curve_takes_bounded_memory_and_keeps_its_mean():
    curve = Curve()
    for step in range(10_001):
        curve.add(step, float(step))
    points = curve.all()
    assert len(points) <= POINTS
    assert points[-1] == (10_000, points[-1][1])
    means = [value for _, value in points[:-1]]
    assert means == pytest.approx([at * curve.each + (curve.each - 1) / 2 for at in range(len(means))])


def test_nothing_is_written_and_no_lock_is_taken(folder):
    before = sorted(folder.path.iterdir())
    with lock_folder(folder.path, "kontrast train"):
        Follower(folder.path).look()
    Follower(folder.path).look()
    assert {path.name for path in folder.path.iterdir()} - {path.name for path in before} <= {".lock"}


def test_the_frame_shows_progress_loss_health_validation_and_messages(folder):
    folder.append("metrics.jsonl", record(1, 5.0) + record(40, 2.0, HEALTH))
    for step, knn in ((0, 0.5), (20, 0.8), (40, 0.7)):
        append_look(folder, look(step, knn=knn, rankme=9.0))
    log = MessageLog()
    log.fact("lost", "before the folder exists")
    log.begun(folder.path)
    log.fact("data", "400 rows\nlabel: 10 classes")
    with lock_folder(folder.path, "kontrast train"):
        text = shown(folder)
    lines = {line[:11].strip(): line[12:] for line in text.splitlines()}
    assert lines["run"].startswith(f"waves-1 · training · process {os.getpid()} on ")
    assert "40%" in lines["progress"]
    assert "step 40 of 100 · 4.0 s · 6.0 s left" in lines["progress"]
    assert lines["loss"] == "█▁  2.00 from 5.00"
    assert lines["health"] == "effective rank 12.0 · spread .900 · alignment .200 · uniformity -2.50 · at step 40"
    assert lines["validation"] == "3 looks at 256 rows · 3.8 % of the time"
    assert "kNN accuracy  ▁█▆  .700   from .500, best .800 at step 20" in text
    assert "RankMe        ▁▁▁  9.00   from 9.00\n" in text
    assert "data       400 rows" in lines["messages"]
    assert "label: 10 classes" in text
    assert "before the folder" not in text


def test_a_collapse_and_a_verdict_are_shown():
    now = Snapshot("r", "finished", verdict={"words": "It collapsed: all rows embed alike.", "causes": ["no gradient"]})
    text = frame(now).plain
    assert "verdict     It collapsed: all rows embed alike.\n            likely: no gradient\n" in text
    flat = {**HEALTH, "spread": 0.01}
    assert "COLLAPSED · effective rank" in frame(Snapshot("r", "training", health={"step": 9, "health": flat})).plain


def test_a_line_never_leaves_the_terminal():
    messages = [("2026-01-01 10:00:00", "note", "word " * 80)] * 90
    text = frame(Snapshot("r" * 300, "stopped", messages=messages), width=80, height=24).plain
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 24


def test_sparklines():
    assert spark([0, 1, 2, 3, 4, 5, 6, 7], 8) == BLOCKS
    assert spark([0.0] * 50 + [1.0] * 50, 4) == "▁▁██"
    assert spark([1.0, float("nan"), 2.0], 5) == "▁·█"
    assert spark([3.0], 5) == "▁"
    assert spark([], 5) == ""


def test_looks_after_the_checkpoint_are_forgotten(folder):
    for step in (0, 5, 10):
        append_look(folder, look(step, knn=0.5))
    folder.append("validation.jsonl", '{"step": 12, "sec')
    assert [one["step"] for one in read_looks(folder.path)] == [0, 5, 10]
    assert [one["step"] for one in keep_looks(folder, 7)] == [0, 5]
    assert [one["step"] for one in read_looks(folder.path)] == [0, 5]


def test_the_command_prints_one_frame_into_a_pipe(folder, capsys, tmp_path):
    folder.append("metrics.jsonl", record(1, 5.0))
    assert call("watch", folder.path) == 0
    assert capsys.readouterr().out.startswith("run         waves-1 · stopped · continue with: kontrast train --resume")
    assert call("watch", tmp_path) == 2
    assert "is no run" in capsys.readouterr().err
    with pytest.raises(UserError, match="is no run"):
        Follower(tmp_path).look()
