"""Beside other programs: fewer threads where processors are waited for, as it was when a run is repeated."""

import itertools
import json
import os
import sys

import pytest
import torch

from kontrast import cli
from kontrast.runs.folder.folder import THREADS, Folder
from kontrast.training import threads as watched
from kontrast.training.threads import WINDOW, Threads, waiting
from tests.support.command import call
from tests.support.series import waves

pytestmark = pytest.mark.slow


class Machine:
    """A machine whose clock, load and speed are told; PyTorch's threads are counted, not used."""

    def __init__(self, monkeypatch, most=4):
        self.time, self.computed, self.waited, self.number = 0.0, 0.0, 0.0, most
        monkeypatch.setattr(torch, "get_num_threads", lambda: self.number)
        monkeypatch.setattr(torch, "set_num_threads", lambda n: setattr(self, "number", n))
        self.said, self.step = [], 0
        self.threads = Threads(
            look=lambda: (self.computed, self.waited), now=lambda: self.time, notify=self.said.append
        )

    def windows(self, count, share, rate):
        """So many windows in which this share of the time is waited; rate: threads -> steps a second."""
        for _ in range(count):
            for _ in range(int(WINDOW * rate(self.number)) + 1):
                self.step += 1
                self.time += 1 / rate(self.number)
                self.computed, self.waited = self.computed + (1 - share), self.waited + share
                self.threads.after(self.step)
        return self.number


def test_fewer_threads_are_tried_and_kept_where_they_are_faster_and_given_back_when_it_is_quiet(monkeypatch):
    machine = Machine(monkeypatch)
    assert machine.windows(3, 0.02, lambda n: n) == 4
    assert machine.windows(1, 0.5, lambda n: 3 - n / 2) == 4  # one odd window is no starvation
    assert machine.windows(1, 0.5, lambda n: 3 - n / 2) == 2
    assert machine.windows(1, 0.15, lambda n: 3 - n / 2) == 2
    assert "2 threads instead of 4: 2.0 times as many steps a second" in machine.said[-1]
    assert "50% of the time" in machine.said[0]
    assert machine.windows(2, 0.0, float) == 4
    assert machine.windows(1, 0.0, float) == 4


def test_what_does_not_pay_is_taken_back_and_not_tried_again_soon(monkeypatch):
    machine = Machine(monkeypatch)
    assert machine.windows(2, 0.5, float) == 2
    assert machine.windows(1, 0.5, float) == 4
    assert machine.windows(10, 0.5, float) == 4
    assert len(machine.said) == 1


def test_one_thread_is_never_fewer_and_a_system_that_does_not_tell_changes_nothing(monkeypatch):
    assert Machine(monkeypatch, most=1).windows(5, 0.9, lambda n: 1.0) == 1
    machine = Machine(monkeypatch)
    machine.threads = Threads(look=lambda: None, now=lambda: machine.time)
    assert machine.windows(5, 0.9, lambda n: 1.0) == 4


def test_choices_of_another_run_are_followed_and_none_is_made(monkeypatch):
    machine = Machine(monkeypatch)
    machine.threads = Threads({3: 1, 5: 2}, now=lambda: machine.time)
    seen = []
    for step in range(1, 8):
        machine.threads.after(step)
        seen.append(machine.number)
    assert seen == [4, 4, 1, 1, 2, 2, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells it")
def test_the_system_says_how_long_was_computed_and_waited():
    before = waiting()
    sum(range(3_000_000))
    after = waiting()
    assert after[0] > before[0]
    assert after[1] >= before[1]


def test_a_run_records_its_threads_and_a_replay_and_a_resume_follow_them(tmp_path, monkeypatch):
    """Two threads from the third step on, as a starved machine would have it."""
    import numpy as np

    np.savez(tmp_path / "rows.npz", series=waves(24, length=16)[0].astype("f4"), label=np.arange(24) % 3)
    words = ["--batch", 8, "--steps", 6, "--encoder", "series=tcn,hidden=8,out=8,depth=2", "--set", 'scores=["knn"]']
    words += ["--set", "plan.checkpoint=0", "--quiet"]
    before, turn = torch.get_num_threads(), itertools.count(1)
    with monkeypatch.context() as patch:
        patch.setattr(Threads, "after", lambda self, step: self.set(2) if next(turn) == 3 else None)
        assert call("train", tmp_path / "rows.npz", *words, "--out", tmp_path / "run") == 0
    assert torch.get_num_threads() == before
    used = [moment["threads"] for moment in Folder(tmp_path / "run").moments()]
    assert used == [before] * 3 + [2] * 3
    assert call("replay", tmp_path / "run", "--out", tmp_path / "again", "--quiet") == 0
    assert json.loads((tmp_path / "again" / THREADS).read_text()) == ([[3, 2]] if before != 2 else [])
    assert [moment["threads"] for moment in Folder(tmp_path / "again").moments()] == used
    for name in ("scores.json", "report.html", "checkpoints/000000006.safetensors", "checkpoints/000000006.sha256"):
        (tmp_path / "run" / name).unlink()
    assert call("train", "--resume", tmp_path / "run", "--quiet") == 0
    assert [moment["threads"] for moment in Folder(tmp_path / "run").moments()] == used
    weights = [(tmp_path / name / "encoder" / "model.safetensors").read_bytes() for name in ("run", "again")]
    assert weights[0] == weights[1]


def test_the_command_line_spins_less_unless_the_user_has_said_how(monkeypatch):
    for given, wanted in (({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)):
        with monkeypatch.context() as patch:
            for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
                patch.delenv(name, raising=False)
            for name, value in given.items():
                patch.setenv(name, value)
            patch.delitem(sys.modules, "torch")
            cli.limit_spinning()
            assert os.environ.get("GOMP_SPINCOUNT") == wanted
            os.environ.pop("GOMP_SPINCOUNT", None)


def test_a_script_is_warned_that_began_before_anything_could_be_set(monkeypatch):
    from kontrast.reporting.logger import NullLogger
    from kontrast.runs.pipeline import starvation

    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.warns(UserWarning, match="GOMP_SPINCOUNT=1000"):
        starvation.note_starvation("words", NullLogger())
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    starvation.note_starvation("words", NullLogger())
    assert watched.STARVED > watched.FREE
