"""What comes between: Ctrl-C, a full disk, damaged files, changed data, numbers that are no numbers, a collapse."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.support.command import call
from tests.support.places import ROOT

pytestmark = pytest.mark.slow

SHORT = ("--batch", "16", "--precision", "32", "--compile", "off")
STEPS = 24
OFTEN = ("--set", "plan.checkpoint=0")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    file = tmp_path_factory.mktemp("waves") / "waves.npz"
    np.savez(
        file, series=np.random.default_rng(0).normal(size=(60, 32)).cumsum(1).astype("f4"), label=np.arange(60) % 3
    )
    return file


@pytest.fixture(scope="module")
def whole(waves, tmp_path_factory):
    """An uninterrupted run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    torch.set_num_threads(1)
    assert call("train", waves, "--steps", STEPS, *SHORT, *OFTEN, "--quiet", "--out", run) == 0
    return run


@pytest.fixture
def cut(whole, tmp_path):
    """The same run as if it had been killed at its end, before the scores: finished training, no scores, no report."""
    run = tmp_path / "cut"
    shutil.copytree(whole, run)
    for name in ("scores.json", "samples.json", "report.html"):
        (run / name).unlink()
    return run


def refused(capsys, *words, code=2):
    capsys.readouterr()
    assert call(*words) == code
    said = capsys.readouterr().err
    assert said.startswith("kontrast: "), said
    assert said.count("\n") == 1, said
    return said


def same_weights(one, two):
    a, b = (load_file(run / "encoder" / "model.safetensors") for run in (one, two))
    assert a.keys() == b.keys()
    return all(np.array_equal(a[name], b[name]) for name in a)


def parts(run):
    return [p.name for p in run.rglob("*.part*")]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.kill
def test_a_stopped_run_says_how_to_go_on_and_ends_as_if_never_stopped(whole, waves, tmp_path, capsys, sent):
    run = tmp_path / "stopped"
    command = [sys.executable, "-m", "kontrast", "train", waves, "--steps", str(STEPS), *SHORT, "--out", run]
    process = subprocess.Popen(
        [*map(str, command), "--set", "plan.checkpoint=0"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    moments = run / "metrics.jsonl"
    while process.poll() is None and not (moments.is_file() and moments.read_text().count("\n") > 4):
        time.sleep(0.005)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert said.startswith("kontrast: stopped")
    assert f"kontrast train --resume {run}" in said
    assert said.count("\n") == 1
    assert not parts(run)
    assert call("train", "--resume", run, "--quiet") == 0
    assert same_weights(whole, run)
    assert not (run / "cache").exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.kill
def test_a_run_stopped_while_it_reads_can_be_resumed(whole, waves, tmp_path, capsys, monkeypatch, sent):
    run = tmp_path / "early"
    with monkeypatch.context() as patch:
        patch.setattr("kontrast.runs.pipeline.pipeline.prepare", lambda *_, **__: os.kill(os.getpid(), sent))
        said = refused(
            capsys, "train", waves, "--steps", STEPS, *SHORT, *OFTEN, "--quiet", "--out", run, code=128 + sent
        )
    assert f"continue with: kontrast train --resume {run}" in said
    assert call("train", "--resume", run, "--quiet") == 0
    assert same_weights(whole, run)


def full(patch, name):
    """A disk that is full as soon as a file or folder of that name is to be put in its place."""
    replace = os.replace

    def refuse(source, target, **options):
        if Path(target).match(name):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return replace(source, target, **options)

    patch.setattr(os, "replace", refuse)


@pytest.mark.parametrize("name", ["cache/rows/*", "data.json", "embeddings/untrained-test.parquet"])
def test_a_full_disk_before_training_leaves_nothing(waves, tmp_path, capsys, monkeypatch, name):
    full(monkeypatch, name)
    said = refused(capsys, "train", waves, "--steps", 5, *SHORT, "--quiet", "--out", tmp_path / "run")
    assert "disk is full" in said or "No space left on device" in said
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "checkpoints/000000004.safetensors",
        "encoder/model.safetensors",
        "embeddings/trained-test.parquet",
        "scores.json",
    ],
)
def test_after_a_full_disk_the_run_is_resumed_to_the_same_end(whole, waves, tmp_path, capsys, monkeypatch, name):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        full(patch, name)
        said = refused(capsys, "train", waves, "--steps", STEPS, *SHORT, *OFTEN, "--quiet", "--out", run)
    assert "No space left on device" in said
    assert f"{run / name}" in said
    assert not parts(run)
    assert not (run / "scores.json").exists()
    assert call("train", "--resume", run, "--quiet") == 0
    assert same_weights(whole, run)
    verdicts = [json.loads((r / "scores.json").read_text())["verdict"] for r in (whole, run)]
    assert verdicts[0] == verdicts[1]


def test_a_full_disk_keeps_the_earlier_bank_and_report(whole, waves, tmp_path, capsys, monkeypatch):
    bank, report = tmp_path / "bank.parquet", whole / "report.html"
    assert call("embed", whole, waves, "--out", bank, "--quiet") == 0
    before = bank.read_bytes(), report.read_bytes()
    for name, words in (
        ("bank.parquet", ("embed", whole, waves, "--out", bank, "--quiet")),
        ("*.html", ("report", whole)),
    ):
        with monkeypatch.context() as patch:
            full(patch, name)
            assert "No space left on device" in refused(capsys, *words)
    assert (bank.read_bytes(), report.read_bytes()) == before
    assert not parts(tmp_path)


def test_a_full_disk_keeps_the_earlier_index(whole, capsys, monkeypatch):
    assert call("index", whole, "--quiet") == 0
    before = sorted(p.relative_to(whole) for p in (whole / "index").rglob("*"))
    with monkeypatch.context() as patch:
        full(patch, "index.json")
        assert "No space left on device" in refused(capsys, "index", whole, "--quiet")
    assert sorted(p.relative_to(whole) for p in (whole / "index").rglob("*")) == before


def test_a_full_disk_between_checkpoints_is_told_in_words_too(whole, waves, tmp_path, capsys, monkeypatch):
    run, opened = tmp_path / "run", Path.open

    def refuse(path, mode="r", *rest, **options):
        if mode == "a" and path.name == "metrics.jsonl" and path.exists() and path.read_text().count("\n") == 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return opened(path, mode, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        said = refused(capsys, "train", waves, "--steps", STEPS, *SHORT, *OFTEN, "--quiet", "--out", run)
    assert f"No space left on device {run / 'metrics.jsonl'}" in said
    assert call("train", "--resume", run, "--quiet") == 0
    assert same_weights(whole, run)


def test_damaged_files_are_named(whole, waves, tmp_path, capsys):
    damages = {
        "experiment.json": (("embed", "RUN", waves), ["experiment.json is not JSON"]),
        "scores.json": (("report", "RUN"), ["scores.json is damaged"]),
        "encoder/modalities.json": (("embed", "RUN", waves), ["modalities.json is damaged"]),
        "encoder/model.safetensors": (("embed", "RUN", waves), ["model.safetensors cannot be read"]),
        "embeddings/trained-test.parquet": (("index", "RUN"), ["trained-test.parquet is damaged"]),
    }
    for number, (name, (words, expected)) in enumerate(damages.items()):
        run = tmp_path / str(number)
        shutil.copytree(whole, run)
        (run / name).write_bytes((run / name).read_bytes()[:100])
        said = refused(capsys, *[run if word == "RUN" else word for word in words])
        for part in expected:
            assert part in said


def test_a_setting_of_another_version_is_named(whole, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    tree = json.loads((run / "experiment.json").read_text())
    tree["plan"]["bach"] = 3
    (run / "experiment.json").write_text(json.dumps(tree))
    assert "did you mean 'batch'" in refused(capsys, "train", "--resume", run)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(cut, whole, capsys):
    older, newest = sorted((cut / "checkpoints").glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-5] + b"12345")
    shutil.rmtree(cut / "encoder")
    assert call("train", "--resume", cut) == 0
    assert f"at step {int(older.stem)} of {STEPS}" in capsys.readouterr().out
    assert same_weights(whole, cut)


def test_no_intact_checkpoint_is_refused(cut, capsys):
    for file in (cut / "checkpoints").glob("*.safetensors"):
        file.write_bytes(b"")
    assert "2 damaged" in refused(capsys, "train", "--resume", cut, "--quiet")


def test_resuming_refuses_other_settings_and_other_rows(cut, waves, capsys):
    said = refused(capsys, "train", "--resume", cut, "--batch", 8, "--set", "tasks.contrast.temperature=0.3")
    assert "tasks.contrast.temperature: 0.2 -> 0.3" in said
    assert "plan.batch: 16 -> 8" in said
    with np.load(waves) as arrays:
        np.savez(cut / "other.npz", series=arrays["series"] + 1, label=arrays["label"])
    before = {p: p.read_bytes() for p in cut.rglob("*") if p.is_file() and "cache" not in p.parts}
    said = refused(capsys, "train", cut / "other.npz", "--resume", cut, "--quiet")
    assert "has changed since" in said
    assert {p: p.read_bytes() for p in cut.rglob("*") if p.is_file() and "cache" not in p.parts} == before


def test_a_loss_that_is_no_number_leaves_its_batch(waves, tmp_path, capsys):
    run = tmp_path / "run"
    said = refused(
        capsys, "train", waves, "--steps", 30, *SHORT, "--quiet", "--out", run, "--learning-rate", 1000, "--seed", 1
    )
    (file,) = run.glob("not-finite-step-*.safetensors")
    assert str(file) in said
    assert "learning rate is too high" in said
    batch = load_file(file)
    assert batch["view contrast/series.1"].shape[0] == 16
    assert len(batch["key id"]) == 16


def test_a_collapse_stops_the_run_with_its_cause_unless_told_to_go_on(waves, tmp_path, capsys):
    words = ("train", waves, "--steps", 62, *SHORT, "--set", "plan.weight_decay=1000")
    assert call(*words, "--out", tmp_path / "stops") == 0
    said = capsys.readouterr().out
    assert "verdict   It collapsed: all rows embed alike" in said
    assert "likely: weight decay 1000" in said
    assert json.loads((tmp_path / "stops" / "scores.json").read_text())["steps"] == 60
    assert call(*words, "--keep-going", "--out", tmp_path / "goes_on") == 0
    assert "verdict   It collapsed: all rows embed alike" in capsys.readouterr().out
    assert json.loads((tmp_path / "goes_on" / "scores.json").read_text())["steps"] == 62


def test_nothing_of_other_libraries_reaches_the_screen(waves, tmp_path):
    command = [
        sys.executable,
        "-m",
        "kontrast",
        "train",
        waves,
        "--steps",
        "2",
        *SHORT,
        "--out",
        tmp_path / "run",
        "--quiet",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
