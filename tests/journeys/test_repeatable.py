"""The same command twice, the same bytes; a run again from its folder; clocks that jump, data that vanishes."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from kontrast import api
from kontrast.core.errors import UserError
from kontrast.core.experiment import Plan
from kontrast.runs.folder.catalogue import catalogue
from kontrast.runs.folder.folder import Folder
from kontrast.runs.pipeline import pipeline
from kontrast.tasks.contrastive.simclr import SimCLR
from kontrast.training.determinism import repeatable, unrepeatable
from tests.support.command import call
from tests.support.places import ROOT
from tests.support.series import waves

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
SMALL = ["--batch", 16, "--encoder", "series=tcn,hidden=16,out=32,depth=2", "--set", 'scores=["knn"]', "--quiet"]
OFTEN = ["--set", "plan.checkpoint=0"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    file = tmp_path_factory.mktemp("rows") / "rows.npz"
    np.savez(file, series=waves(60, length=32)[0].astype("f4"), label=np.arange(60) % 3)
    return file


@pytest.fixture(scope="module")
def whole(rows, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    assert call("train", rows, "--steps", 8, *SMALL, *OFTEN, "--out", run) == 0
    return run


def weights(run):
    return (run / "encoder" / "model.safetensors").read_bytes()


def refused(capsys, *words):
    capsys.readouterr()
    assert call(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("kontrast: "), said
    assert said.count("\n") == 1, said
    return said


# ---- the same numbers


def test_the_same_command_twice_gives_the_same_bytes_with_two_threads_and_formats_chosen_by_the_machine(tmp_path):
    from PIL import Image

    draw = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    lines = []
    for n, wave in enumerate(waves(80)[0]):
        pixels = draw.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((16, 16)).save(tmp_path / "pictures" / f"{n}.png")
        words = " ".join(draw.choice(["red", "green", "blue", "round", "small", "old", "new"], 5))
        row = {
            "photo": f"pictures/{n}.png",
            "words": f"{words} {n}",
            "wave": wave.round(4).tolist(),
            "kind": str(n % 3),
        }
        lines.append(json.dumps(row))
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    words = ["train", "rows.jsonl", "--field", "photo=image", "--field", "words=text", "--field", "wave=series"]
    words += ["--encoder", "image=resnet,base=8,thin=8", "--encoder", "series=tcn,hidden=16,out=32,depth=2"]
    words += ["--label", "kind", "--steps", "4", "--batch", "32", "--set", 'scores=["knn"]', "--quiet", "--out"]
    for name in ("one", "two"):
        subprocess.run(
            [sys.executable, "-m", "kontrast", *words, name],
            env=os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            check=True,
            timeout=250,
        )
    one, two = (tmp_path / name for name in ("one", "two"))
    same = ["encoder/model.safetensors", "experiment.json", "data.json", "embeddings/trained-test.parquet"]
    for name in [*same, "embeddings/raw-train.parquet", "samples.json"]:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    tables = [json.loads((run / "scores.json").read_text())["scores"] for run in (one, two)]
    assert tables[0] == tables[1]
    losses = [[moment["loss"] for moment in Folder(run).moments()] for run in (one, two)]
    assert losses[0] == losses[1]


def test_settings_of_the_process_are_as_before_afterwards():
    from torch.utils import deterministic

    for setting in ("auto", "on", "off"):
        with repeatable(Plan(deterministic=setting), CPU):
            assert torch.are_deterministic_algorithms_enabled() is (setting != "off")
            assert torch.is_deterministic_algorithms_warn_only_enabled() is (setting == "auto")
        assert not torch.are_deterministic_algorithms_enabled()
        assert deterministic.fill_uninitialized_memory


def lacking():
    return torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))  # one of the few that have none on a CPU


def test_an_operation_without_a_deterministic_form_is_refused_by_name_where_one_insists():
    refusal = pytest.raises(UserError, match="put_ has no deterministic form on this device; train with --no-determin")
    with refusal, repeatable(Plan(deterministic="on"), CPU):
        lacking()
    with repeatable(Plan(), CPU):
        with pytest.warns(UserWarning, match="put_ does not have a deterministic"):
            lacking()
        assert unrepeatable(lacking) == "put_"
        assert unrepeatable(lambda: torch.zeros(3)) == ""
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    with repeatable(Plan(deterministic="off"), CPU):
        lacking()


def test_training_refuses_it_too_and_leaves_a_run_that_can_go_on(rows, whole, tmp_path, capsys, monkeypatch):
    run, embed = tmp_path / "run", SimCLR.compute_loss

    def compute_loss(self, out, ranks):
        lacking()
        return embed(self, out, ranks)

    with monkeypatch.context() as patch:
        patch.setattr(SimCLR, "compute_loss", compute_loss)
        words = ["train", rows, "--steps", 8, *SMALL, *OFTEN]
        said = refused(capsys, *words, "--out", run, "--deterministic")
        assert "put_ has no deterministic form" in said
        assert call(*words, "--out", tmp_path / "other", "--no-deterministic") == 0
    assert json.loads((tmp_path / "other" / "experiment.json").read_text())["plan"]["deterministic"] == "off"


@pytest.mark.parametrize(
    ("kind", "formats"), [("image", (True, True)), ("text", (False, False)), ("series", (True, False))]
)
def test_number_formats_follow_from_machine_and_encoder_alone(kind, formats, monkeypatch):
    """Where bf16 is computed in hardware: convolutions do so, a bag of tokens does not."""
    from kontrast.encoders.resnet import ResNet
    from kontrast.encoders.tcn import TCN
    from kontrast.encoders.tokens import Tokens
    from kontrast.training import precision
    from tests.support.learners import batches_of, learner_of

    encoder, view = {
        "image": (lambda: ResNet(channels=3), torch.randn(8, 3, 32, 32)),
        "text": (lambda: Tokens(vocabulary=50), torch.randint(0, 50, (8, 12))),
        "series": (lambda: TCN(channels=1), torch.randn(8, 1, 64)),
    }[kind]
    method = learner_of(SimCLR, {kind: encoder()}, {"x": kind})
    keys = {"id": torch.arange(8), "content x": torch.arange(8), "has x": torch.ones(8, dtype=torch.bool)}
    batch = batches_of(method, {"x.1": view, "x.2": view}, keys)
    monkeypatch.setattr(precision, "_computes_bf16", lambda device: True)
    monkeypatch.setattr(precision, "_by_stopwatch", lambda *_: pytest.fail("timed"))
    mode, _ = precision.choose(method, batch, Plan(), 100)
    assert (mode.bf16, mode.channels_last) == formats
    assert not mode.compiled
    monkeypatch.setattr(precision, "_computes_bf16", lambda device: False)
    assert not precision.choose(method, batch, Plan(), 100)[0].bf16


# ---- replay


def test_a_run_of_some_minutes_is_replayed_to_the_last_bit_from_where_its_rows_are_now(rows, tmp_path, capsys):
    moved, run = tmp_path / "moved.npz", tmp_path / "run"
    here = Path(shutil.copy(rows, tmp_path / "rows.npz"))
    assert call("train", here, "--minutes", 0.02, *SMALL, "--out", run) == 0
    here.rename(moved)
    before = sorted(tmp_path.iterdir())
    said = refused(capsys, "replay", run, "--out", tmp_path / "again")
    assert f"{here}, which {run} was trained on, is not there any more" in said
    assert f"kontrast replay {run} --data DATA" in said
    with np.load(rows) as arrays:
        np.savez(tmp_path / "other.npz", series=arrays["series"] + 1, label=arrays["label"])
    assert "has changed since" in refused(
        capsys, "replay", run, "--data", tmp_path / "other.npz", "--out", tmp_path / "again", "--quiet"
    )
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "other.npz"])  # no half replay is left
    assert call("replay", run, "--data", moved, "--out", tmp_path / "again", "--quiet") == 0
    assert "IDENTICAL" in capsys.readouterr().out
    assert weights(run) == weights(tmp_path / "again")
    rates = [[m["learning_rate"] for m in Folder(r).moments()] for r in (run, tmp_path / "again")]
    assert rates[0] == rates[1]
    assert len({m["total"] for m in Folder(run).moments()}) > 1, "the clock never changed its mind: this tests nothing"
    assert call("replay", tmp_path / "again", "--data", moved, "--out", tmp_path / "thrice", "--quiet") == 0


def test_a_replay_compares_what_scores_stand_beside_too(whole, rows, tmp_path, capsys):
    old = Path(shutil.copytree(whole, tmp_path / "old"))
    table = json.loads((old / "scores.json").read_text())
    table["scores"][0]["raw"]["low"] = -1
    (old / "scores.json").write_text(json.dumps(table))
    assert call("replay", old, "--out", tmp_path / "new", "--quiet") == 1
    said = capsys.readouterr().out
    assert "weights  equal" in said
    assert "score    kNN accuracy, raw, low: -1 before" in said


# ---- clocks


@pytest.mark.parametrize("year", [-365 * 86400, 365 * 86400])
def test_a_wall_clock_that_jumps_by_a_year_changes_nothing(rows, whole, tmp_path, monkeypatch, year):
    run, true, asked = tmp_path / "run", time.time, []

    def jumping():
        asked.append(1)
        return true() + year * (len(asked) % 3)

    monkeypatch.setattr(time, "time", jumping)
    assert call("train", rows, "--steps", 8, *SMALL, *OFTEN, "--out", run) == 0
    monkeypatch.undo()
    assert weights(run) == weights(whole)
    assert [p.name for p in sorted((run / "checkpoints").iterdir())] == [
        p.name for p in sorted((whole / "checkpoints").iterdir())
    ]
    assert Folder(run).newest_checkpoint()[1]["step"] == 8
    for path in run.rglob("*"):
        os.utime(path, (true() + year, true() + year))
    (listed,) = catalogue([run])
    assert listed.finished
    assert 0 < listed.minutes < 10


def test_an_hour_asleep_ends_a_run_of_minutes_cleanly(rows, tmp_path, monkeypatch):
    """On some systems the monotonic clock counts the sleep of a machine."""
    run, true, steps, append = tmp_path / "run", time.perf_counter, [], Folder.append

    def counted(self, name, line):
        append(self, name, line)
        steps.append(1)

    monkeypatch.setattr(time, "perf_counter", lambda: true() + (3600.0 if len(steps) >= 3 else 0.0))
    monkeypatch.setattr(Folder, "append", counted)
    assert call("train", rows, "--minutes", 0.02, *SMALL, "--out", run) == 0
    monkeypatch.undo()
    moments = Folder(run).moments()
    assert all(m["step"] <= m["total"] for m in moments)
    assert moments[-1]["step"] == moments[-1]["total"]
    assert all(m["rate"] > 0 for m in moments)
    names = [row["name"] for row in json.loads((run / "scores.json").read_text())["scores"]]
    assert "kNN accuracy" in names


# ---- data that vanishes, folders that cannot be written to


def interrupted(rows, run, monkeypatch, at="prepare"):
    """A run stopped while it reads; it can be resumed."""
    import signal

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, at, lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
        assert call("train", rows, "--steps", 8, *SMALL, *OFTEN, "--out", run) == 128 + signal.SIGTERM


def test_a_data_file_gone_before_a_resume_is_named_and_may_lie_elsewhere(rows, whole, tmp_path, capsys, monkeypatch):
    run, here = tmp_path / "run", Path(shutil.copy(rows, tmp_path / "rows.npz"))
    interrupted(here, run, monkeypatch, at="train")
    here.rename(tmp_path / "elsewhere.npz")
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    said = refused(capsys, "train", "--resume", run, "--quiet")
    assert f"{here}, which {run} was trained on, is not there any more" in said
    assert f"kontrast train DATA --resume {run}" in said
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
    assert call("train", tmp_path / "elsewhere.npz", "--resume", run, "--quiet") == 0
    assert weights(run) == weights(whole)


def test_pictures_deleted_once_they_are_read_are_not_missed(digits, tmp_path, monkeypatch):
    here, train = Path(shutil.copytree(digits, tmp_path / "digits")), pipeline.train

    def trained(*words, **options):
        shutil.rmtree(here)
        return train(*words, **options)

    monkeypatch.setattr(pipeline, "train", trained)
    small = {"image": {"name": "resnet", "base": 8, "thin": 4}}
    run = api.train(here, encoders=small, steps=2, out=tmp_path / "run", settings={"plan.batch": 32, "scores": ["knn"]})
    assert [row["name"] for row in run.scores] == ["kNN accuracy"]
    assert run.verdict["words"].partition(":")[0] in run.report().read_text()


class Vanishing:
    """A source whose file is gone between the question whether it is there, and its opening."""

    def __init__(self, reader):
        self.reader, self.order, self.reads, self.open = reader, reader.order, reader.reads, reader.open

    def claims(self, data):
        claimed = self.reader.claims(data)
        if claimed:
            data.unlink()
        return claimed


@pytest.mark.parametrize(
    "name", ["rows.npz", "rows.npy", "rows.csv", "rows.jsonl", "rows.parquet", "rows.arrow", "rows.ts"]
)
def test_a_data_file_gone_while_it_is_opened_is_told_in_words(tmp_path, capsys, monkeypatch, name):
    from kontrast.data.sources import open_source as opening

    readers = [Vanishing(reader) for reader in opening.readers()]
    monkeypatch.setattr(opening, "readers", lambda: readers)
    (tmp_path / name).write_text("any")
    said = refused(capsys, "train", tmp_path / name, "--out", tmp_path / "run", "--quiet")
    assert f"{tmp_path / name} was there and is gone" in said or f"{tmp_path / name} is no readable" in said
    assert not any(tmp_path.iterdir())


def read_only(patch, name):
    """A file system that has become read-only for files of that name."""
    replace, opened = os.replace, os.open

    def refuse(path):
        if Path(path).match(name):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    patch.setattr(os, "replace", lambda a, b, **o: (refuse(b), replace(a, b, **o))[1])
    patch.setattr(os, "open", lambda path, *w, **o: (refuse(os.fsdecode(path)), opened(path, *w, **o))[1])


def test_a_folder_that_becomes_read_only_keeps_its_earlier_state(rows, whole, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        read_only(patch, "checkpoints/000000004.safetensors")
        said = refused(capsys, "train", rows, "--steps", 8, *SMALL, *OFTEN, "--out", run)
    assert f"cannot write {run / 'checkpoints' / '000000004.safetensors'}: Read-only file system" in said
    assert Folder(run).newest_checkpoint()[1]["step"] == 3
    with monkeypatch.context() as patch:
        read_only(patch, ".lock")
        said = refused(capsys, "train", "--resume", run, "--quiet")
        assert f"cannot write in {run}: Read-only file system" in said
        assert f"cannot write in {tmp_path / 'new'}: Read" in refused(
            capsys, "train", rows, *SMALL, "--out", tmp_path / "new"
        )
        assert call("runs", tmp_path) == 0
    assert not (tmp_path / "new").exists()
    assert call("train", "--resume", run, "--quiet") == 0
    assert weights(run) == weights(whole)
