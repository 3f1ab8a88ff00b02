"""Validation rows while a run trains: looks change nothing of training, averages are served, patience ends a run."""

import itertools
import json
import signal

import numpy as np
import pytest
import torch

import kontrast as kt
from kontrast.core.errors import Interrupted, UserError
from kontrast.core.experiment import Plan
from kontrast.reporting.logger import Logger
from kontrast.reporting.watch_frame import frame
from kontrast.runs.folder.folder import load_tensors
from kontrast.runs.folder.follow import Follower
from kontrast.runs.folder.monitor_file import read_looks
from tests.support.series import waves
from tests.support.settings import FAST

SMALL = {
    **FAST,
    "plan.batch": 32,
    "encoders.series": {"name": "tcn", "hidden": 8, "out": 16, "depth": 2},
    "scores": [{"name": "knn"}],
    "source.validation": 0.25,
}

pytestmark = pytest.mark.slow


class Ear(Logger):
    """Keeps what it hears; Ctrl-C at a step."""

    def __init__(self, stop=0):
        self.stop, self.looks, self.facts = stop, [], []

    def look(self, look):
        self.looks.append(look)

    def fact(self, name, words):
        self.facts.append((name, words))

    def moment(self, moment):
        if moment.step == self.stop:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def data():
    x, kinds = waves(120)
    return {"x": x.astype(np.float32), "kind": kinds.astype(str)}


def _train(data, out, ear=None, steps=12, **more):
    settings = SMALL | {f"plan.{name}": value for name, value in more.items()}
    return kt.train(data, label="kind", steps=steps, settings=settings, out=out, logger=ear)


def _weights(run):
    return load_tensors(run.path / "encoder" / "model.safetensors")


def _equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(tensor, two[name]) for name, tensor in one.items())


@pytest.fixture(scope="module")
def watched(data, tmp_path_factory):
    ear = Ear()
    return _train(data, tmp_path_factory.mktemp("runs") / "watched", ear, monitor=1.0), ear


def test_looks_are_heard_and_kept_in_the_folder(watched):
    run, ear = watched
    looks = read_looks(run.path)
    assert [look["step"] for look in looks] == [look.step for look in ear.looks]
    assert (looks[0]["step"], looks[-1]["step"]) == (0, 12)
    assert len(looks) > 2
    assert set(looks[-1]["values"]) == {"knn", "auc", "rankme", "lidar", "alignment", "uniformity"}
    assert looks[-1]["rows"] == json.loads((run.path / "data.json").read_text())["validation"]
    words = dict(ear.facts)["validation"]
    assert words.startswith(f"kNN accuracy {looks[-1]['values']['knn']:.3f}".replace("0.", "."))
    assert f"{len(looks)} looks at" in words


def test_the_report_and_the_live_page_show_the_looks(watched):
    run, ear = watched
    html = (run.path / "report.html").read_text(encoding="utf8")
    assert f"{len(ear.looks)} looks at" in html
    assert "LiDAR" in html
    text = frame(Follower(run.path).look(), 140, 60).plain
    assert "run         watched · finished" in text
    assert f"{len(ear.looks)} looks at" in text
    assert "messages" in text
    assert "split      " in text


def test_weights_and_losses_are_the_same_to_the_last_bit_with_and_without_looks(watched, data, tmp_path):
    blind = _train(data, tmp_path / "blind", monitor=0.0)
    assert not read_looks(blind.path)
    assert _equal(_weights(blind), _weights(watched[0]))
    losses = [[moment["loss"] for moment in run.folder.moments()] for run in (blind, watched[0])]
    assert losses[0] == losses[1]


def test_a_resumed_run_takes_the_looks_after_its_checkpoint_again(watched, data, tmp_path):
    with pytest.raises(Interrupted):
        _train(data, tmp_path / "run", Ear(stop=6), monitor=1.0)
    again = kt.resume(tmp_path / "run", data=data)
    steps = [look["step"] for look in read_looks(again.path)]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 12)
    assert _equal(_weights(again), _weights(watched[0]))


def test_the_average_of_the_weights_is_served_and_resumes_bit_for_bit(watched, data, tmp_path):
    ear = Ear()
    whole = _train(data, tmp_path / "whole", ear, ema=0.9)
    assert ("average", "of the weights, with decay 0.9: it is what is evaluated, kept and served") in ear.facts
    assert not _equal(_weights(whole), _weights(watched[0]))
    with pytest.raises(Interrupted):
        _train(data, tmp_path / "run", Ear(stop=5), ema=0.9)
    assert _equal(_weights(kt.resume(tmp_path / "run", data=data)), _weights(whole))
    raw = whole.folder.newest_checkpoint()[0]
    served = _weights(whole)
    name = next(name for name in served if name.endswith("weight"))
    assert torch.equal(served[name], raw[f"average.{name}"])
    trained = _weights(watched[0])[name]
    assert torch.equal(raw[f"learner.{name}"], trained)  # training itself goes on with the weights


@pytest.mark.parametrize("keep", ["last", "best-by-validation"])
def test_patience_ends_a_run_that_no_longer_improves(data, tmp_path, keep):
    ear = Ear()
    run = _train(data, tmp_path / "run", ear, steps=40, patience=1, learning_rate=0.0, keep=keep, monitor=0.0)
    *before, (at, last) = json.loads((run.path / "checkpoints" / "kept.json").read_text())
    assert all(two > one for (_, one), (_, two) in itertools.pairwise(before))  # each better than the one before
    assert last <= before[-1][1]
    assert [step for step, _ in before] == [4 * tenth for tenth in range(len(before))]
    assert run.folder.moments()[-1]["step"] == at < 40
    words = f"stopped early at step {at} of 40, after 1 evaluation of the validation rows without a better one"
    assert ("patience", words) in ear.facts
    assert words in run.verdict["words"]
    numbers = run.folder.newest_checkpoint()[1]
    assert (numbers["step"], numbers["total"]) == (at, at)  # a resume does not go on
    kept = [file.name for file in (run.path / "checkpoints").glob("kept-*.safetensors")]
    assert len(kept) == (keep != "last")
    assert ("was kept, the best of" in run.verdict["words"]) == (keep != "last")


def test_patience_sets_validation_rows_apart_unless_that_is_refused(data, tmp_path):
    none = {name: value for name, value in SMALL.items() if name != "source.validation"}
    run = kt.train(data, label="kind", steps=2, settings=none | {"plan.patience": 3}, out=tmp_path / "run")
    assert run.experiment.source.validation == 0.1
    with pytest.raises(UserError, match=r"--keep last, without plan\.patience"):
        kt.train(
            data,
            label="kind",
            steps=2,
            settings=none | {"plan.patience": 3, "source.validation": 0.0},
            out=tmp_path / "other",
        )


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"ema": 1.0}, r"plan\.ema=1 keeps the random start"),
        ({"ema": -0.1}, r"plan\.ema=-0\.1; expected 0 to 1"),
        ({"patience": 0}, r"plan\.patience=0; expected 1 to 10"),
        ({"monitor": 2.0}, r"plan\.monitor=2\.0; expected 0 to 1"),
    ],
)
def test_other_settings_are_refused(setting, words):
    with pytest.raises(UserError, match=words):
        Plan(**setting)
