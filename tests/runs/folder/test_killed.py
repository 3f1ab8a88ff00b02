"""Processes killed by SIGKILL, whatever they are at, and resumed to the same bytes; two processes on one run folder."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from kontrast.runs.folder.catalogue import catalogue
from kontrast.runs.folder.folder import KEPT, Folder
from kontrast.runs.folder.lock import HOLDER, LOCK, in_use
from tests.support.command import call
from tests.support.places import ROOT

pytestmark = [
    pytest.mark.kill,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="children are forked, files named by /proc"),
]
STEPS = 8
SMALL = ["--steps", STEPS, "--batch", 16, "--encoder", "series=tcn,hidden=16,out=32,depth=2", "--quiet"]
SMALL += ["--set", "plan.checkpoint=0", "--set", 'scores=["knn", "retrieval"]']
MOMENTS, CHAINS = 20, 4


class Driver:
    """The process of dying.py."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.dying"],
            env=os.environ
            | {
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "PYTHONPATH": str(ROOT),
                "PYTHONWARNINGS": "ignore",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, **asked):
        asked |= {"words": [str(word) for word in asked["words"]], "run": str(asked["run"])} if "run" in asked else {}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def driver():
    driver = Driver()
    yield driver
    driver.end()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    file = tmp_path_factory.mktemp("rows") / "rows.npz"
    x = np.random.default_rng(0).normal(size=(60, 32)).cumsum(1).astype("f4")
    np.savez(file, series=x, label=np.arange(60) % 3)
    return file


@pytest.fixture(scope="module")
def whole(driver, rows, tmp_path_factory):
    """An uninterrupted run, and the moments of its life."""
    run = tmp_path_factory.mktemp("whole") / "run"
    ended = driver.ask(words=["train", rows, *SMALL, "--out", run], run=run)
    assert ended["code"] == 0, ended["said"]
    return run, ended["moments"]


def going_on(run, rows):
    """What a user types after a kill."""
    if (run / "experiment.json").is_file():
        return ["train", "--resume", run, "--quiet"]
    return ["train", rows, *SMALL, "--out", run]


def is_as(run, whole):
    """Whether nothing can be told from an uninterrupted run, and nothing was left lying about."""
    names = [
        "encoder/model.safetensors",
        *(f"embeddings/{b}-{p}.parquet" for b in ("raw", "trained") for p in ("train", "test")),
    ]
    for name in names:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    for name, part in (("scores.json", "scores"), ("scores.json", "verdict"), ("data.json", "fingerprint")):
        assert json.loads((run / name).read_text())[part] == json.loads((whole / name).read_text())[part], name
    losses = [[m["loss"] for m in Folder(r).moments()] for r in (run, whole)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == STEPS
    assert {p.relative_to(run) for p in run.rglob("*")} == {p.relative_to(whole) for p in whole.rglob("*")}
    assert len(list((run / "checkpoints").iterdir())) == 2 * KEPT
    assert not in_use(run)


def chosen(moments):
    """Twenty moments of a life, one of every twentieth of it, dealt out to runs that are killed several times.

    Of the draws from seed 20 on it is the first that holds moments of every kind.
    """
    first = list(dict.fromkeys(moments))
    edges = np.linspace(0, len(first), MOMENTS + 1).astype(int)
    for seed in range(20, 1000):
        draw = random.Random(seed)
        drawn = [first[draw.randrange(a, b)] for a, b in itertools.pairwise(edges)]
        if {moment.split()[0] for moment in drawn} >= {"before", "after", "half"}:
            break
    return [drawn[k::CHAINS] for k in range(CHAINS)]


def test_the_moments_to_die_at_are_spread_over_the_whole_life_of_a_run(whole):
    every = [moment for chain in chosen(whole[1]) for moment in chain]
    assert len(set(every)) == MOMENTS
    parts = ("cache", "checkpoints", "embeddings/raw", "encoder", "embeddings/trained", "after step", "half ")
    for part in parts:
        assert any(part in moment for moment in whole[1]), part
    assert sum("checkpoints" in moment for moment in every) > 4
    assert {m.split()[0] for m in every} >= {"before", "after", "half"}


@pytest.mark.parametrize("chain", range(CHAINS))
def test_a_run_killed_again_and_again_ends_in_the_same_bytes(driver, rows, whole, tmp_path, chain):
    run = tmp_path / "run"
    for moment in chosen(whole[1])[chain]:
        ended = driver.ask(words=going_on(run, rows), run=run, at=moment)
        assert ended.get("signal") == signal.SIGKILL, (moment, ended)
        assert not in_use(run)
        checkpoints = Folder(run).newest_checkpoint()  # there may be none yet; what there is, is whole
        assert checkpoints is None or checkpoints[1]["step"] <= STEPS
    ended = driver.ask(words=going_on(run, rows), run=run)
    assert ended["code"] == 0, ended["said"]
    is_as(run, whole[0])


def test_a_run_killed_from_outside_ends_in_the_same_bytes(driver, rows, whole, tmp_path):
    run, draw = tmp_path / "run", random.Random(4)
    for _ in range(
        5
    ):  # where a slow machine is after so long nobody knows; whether it is killed or done, all must hold
        driver.ask(words=going_on(run, rows), run=run, after=draw.uniform(0.05, 1.5))
    ended = driver.ask(words=going_on(run, rows), run=run)
    assert ended["code"] == 0, ended["said"]
    is_as(run, whole[0])


def test_a_run_killed_before_it_was_settled_says_how_to_begin_again(driver, rows, whole, tmp_path, capsys):
    run = tmp_path / "run"
    assert (
        driver.ask(words=going_on(run, rows), run=run, at="before rename experiment.json")["signal"] == signal.SIGKILL
    )
    assert [one.verdict for one in catalogue([tmp_path])] == ["unfinished"]
    capsys.readouterr()
    assert call("train", "--resume", run) == 2
    said = capsys.readouterr().err
    assert said == (
        f"kontrast: {run} was stopped before it had written its settings, so there is nothing to resume. Start it "
        f"again: kontrast train DATA --out {run}\n"
    )
    (run / "mine.txt").write_text("not a run's")
    assert call("train", rows, "--out", run) == 2
    assert "is not empty" in capsys.readouterr().err
    (run / "mine.txt").unlink()
    assert driver.ask(words=going_on(run, rows), run=run)["code"] == 0
    is_as(run, whole[0])


def test_a_run_killed_before_older_checkpoints_are_removed_leaves_none_too_many(driver, rows, whole, tmp_path):
    run = tmp_path / "run"
    last = f"after rename checkpoints/{STEPS:09d}.safetensors"
    assert driver.ask(words=going_on(run, rows), run=run, at=last)["signal"] == signal.SIGKILL
    assert len(list((run / "checkpoints").iterdir())) > 2 * KEPT
    assert driver.ask(words=going_on(run, rows), run=run)["code"] == 0
    is_as(run, whole[0])


@pytest.mark.parametrize("moment", ["after rename scores.json", "before rename report.html"])
def test_a_run_killed_after_its_scores_still_gets_its_report(driver, rows, whole, tmp_path, moment):
    run = tmp_path / "run"
    assert driver.ask(words=going_on(run, rows), run=run, at=moment)["signal"] == signal.SIGKILL
    assert driver.ask(words=going_on(run, rows), run=run)["code"] == 0
    is_as(run, whole[0])


def test_what_a_kill_left_is_never_kept_in_place_of_an_intact_checkpoint(whole, tmp_path):
    """Later checkpoints that lost their hash, or their bytes, must not push the intact ones out."""
    folder = Folder(tmp_path)
    for step in (1, 2):
        folder.save_checkpoint({"x": torch.full((5,), float(step))}, {"step": step})
    for step, damage in ((7, "unmarked"), (8, "truncated"), (9, "half")):
        file = folder.path / "checkpoints" / f"{step:09d}.safetensors"
        shutil.copy(folder.path / "checkpoints" / "000000002.safetensors", file)
        if damage != "unmarked":
            file.with_suffix(".sha256").write_text("0" * 64 + "\n")
        if damage == "half":
            file.rename(f"{file}.part")
    (folder.path / "checkpoints" / "my best.safetensors").write_bytes(b"mine")
    tensors, numbers = folder.newest_checkpoint()
    assert (numbers["step"], tensors["x"][0]) == (2, 2)
    folder.save_checkpoint({"x": torch.full((5,), 3.0)}, {"step": 3})
    left = sorted(file.name for file in (folder.path / "checkpoints").iterdir())
    assert left == [f"00000000{n}.{kind}" for n in (2, 3) for kind in ("safetensors", "sha256")] + [
        "my best.safetensors"
    ]
    damaged = folder.path / "checkpoints" / "000000003.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert folder.newest_checkpoint()[1]["step"] == 2
    folder.save_checkpoint({"x": torch.full((5,), 4.0)}, {"step": 4})
    assert folder.newest_checkpoint()[1]["step"] == 4
    (folder.path / "checkpoints" / "000000004.safetensors").write_bytes(b"")
    assert folder.newest_checkpoint()[1]["step"] == 2  # not 3, which is damaged: the last intact one is still there


@pytest.mark.parametrize("length", [0, 1, 8, 0.5, -1])
def test_a_checkpoint_cut_off_anywhere_is_passed_over(tmp_path, length):
    folder = Folder(tmp_path)
    for step in (1, 2):
        newest = folder.save_checkpoint({"x": torch.arange(50.0)}, {"step": step})
    size = newest.stat().st_size
    os.truncate(newest, int(size * length) if isinstance(length, float) else length % size)
    assert folder.newest_checkpoint()[1]["step"] == 1


def test_a_checkpoint_without_its_hash_or_with_a_damaged_one_is_passed_over(tmp_path):
    folder = Folder(tmp_path)
    for step in (1, 2):
        newest = folder.save_checkpoint({"x": torch.arange(50.0)}, {"step": step})
    newest.with_suffix(".sha256").write_bytes(b"\xff\xfe")
    assert folder.newest_checkpoint()[1]["step"] == 1
    assert not newest.with_suffix(".sha256").exists()
    assert folder.newest_checkpoint()[1]["step"] == 1


def test_files_and_their_names_are_on_disk_before_anything_follows(tmp_path, monkeypatch):
    told, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (told.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (told.append(f"-> {Path(b).name}"), replace(a, b)))
    Folder(tmp_path).save_checkpoint({"x": torch.zeros(3)}, {"step": 5})
    hashed, file = "000000005.sha256", "000000005.safetensors"
    assert told == [
        *(f"{hashed}.part", f"-> {hashed}", "checkpoints"),
        *(f"{file}.part", f"-> {file}", "checkpoints"),
    ]


# ---- two processes on one run folder


@pytest.fixture
def stopped(driver, rows, tmp_path):
    """A run whose process stands still after its third step, and holds the folder."""
    run = tmp_path / "run"
    ended = driver.ask(words=going_on(run, rows), run=run, at="after step 3", sends=signal.SIGSTOP)
    assert ended["signal"] == signal.SIGSTOP
    yield run, ended["process"]
    if in_use(run):
        os.kill(ended["process"], signal.SIGKILL)
        driver.ask(goes_on=ended["process"])


def refused(capsys, *words):
    capsys.readouterr()
    assert call(*words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_a_second_process_is_refused_and_the_first_ends_unharmed(driver, rows, whole, stopped, tmp_path, capsys):
    run, process = stopped
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    for words in (["train", "--resume", run], ["index", run, rows], ["index", run, "--delete", "label = '1'"]):
        said = refused(capsys, *words, "--quiet")
        assert f"kontrast: {run} is in use: process {process} on " in said
        assert "since 20" in said
        assert "(kontrast train)" in said
    os.utime(run, (1e9, 1e9))
    assert call("prune", tmp_path, "--unfinished", "--caches", "--yes") == 0
    assert "is not empty" in refused(capsys, "train", rows, "--out", run)
    assert "never finished" in refused(capsys, "replay", run)
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
    # what only reads goes on: it finds the run, or says that it is not so far
    assert call("runs", tmp_path) == 0
    assert "unfinished" in capsys.readouterr().out
    for words in (
        ["embed", run, rows, "--out", tmp_path / "e.parquet"],
        ["report", run],
        ["search", run, "--like", rows],
    ):
        assert f"It goes on: process {process}" in refused(capsys, *words)
    assert call("tag", run, "paper") == 0
    (run / "tags.json").unlink()
    assert driver.ask(goes_on=process)["code"] == 0
    is_as(run, whole[0])


def test_the_lock_of_a_killed_process_is_gone_with_it_and_a_copy_of_the_folder_has_none(
    driver, rows, whole, stopped, tmp_path
):
    run, process = stopped
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    assert (copy / HOLDER).is_file()
    assert in_use(run)
    assert not in_use(copy)
    assert driver.ask(words=going_on(copy, rows), run=copy)["code"] == 0
    is_as(copy, whole[0])
    os.kill(process, signal.SIGKILL)
    driver.ask(goes_on=process)
    assert (run / HOLDER).is_file()
    assert not in_use(run)
    moved = Path(shutil.move(run, tmp_path / "moved"))
    assert driver.ask(words=going_on(moved, rows), run=moved)["code"] == 0
    is_as(moved, whole[0])


def test_a_file_system_without_locks_is_no_reason_not_to_train(whole, tmp_path, monkeypatch):
    import errno

    from filelock import FileLock

    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    run = Path(shutil.copytree(whole[0], tmp_path / "run"))
    (run / "report.html").unlink()
    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert call("train", "--resume", run, "--quiet") == 0
    words = json.loads((run / "scores.json").read_text())["verdict"]["words"]
    assert words.partition(":")[0] in (run / "report.html").read_text()
    assert not (run / HOLDER).exists()
    assert not in_use(run)


def test_a_run_leaves_an_empty_lock_and_no_name_of_a_machine(whole):
    assert (whole[0] / LOCK).read_bytes() == b""
    assert not (whole[0] / HOLDER).exists()
