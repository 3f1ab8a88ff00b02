"""How many rows a run is evaluated on: a setting that is pinned, fewer where minutes are short, and said."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.experiment import Experiment, Plan
from kontrast.runs import messages
from kontrast.runs.comparison.replay import begin
from kontrast.runs.pipeline import evaluation_rows
from kontrast.runs.pipeline.evaluation_rows import EARLIER, FEWEST, USUAL, chosen
from kontrast.runs.pipeline.held_pairs import before
from kontrast.runs.run import Run
from kontrast.training import pacing
from kontrast.training.budget import Budget
from tests.support.series import waves
from tests.support.short_runs import QUICK, Facts

pytestmark = pytest.mark.slow


class Clocked:
    """A model that takes that long per row."""

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, 0

    def embed(self, data, rows):
        self.asked += len(rows)
        time.sleep(self.seconds * len(rows))


def test_only_minutes_ask_the_clock_and_slow_encoders_are_evaluated_on_fewer_rows():
    rows = np.arange(500)
    steps = Clocked(9)
    assert chosen(steps, None, rows, Budget(None)) == USUAL
    assert steps.asked == 0
    assert chosen(Clocked(0), None, rows, Budget(5)) == USUAL
    assert chosen(Clocked(1e-2), None, rows, Budget(0.1)) == FEWEST
    found = chosen(Clocked(1e-3), None, rows, Budget(0.2, time.perf_counter() - 0.3))
    # 15 % of 12 s, less what went by; five rows are encoded per held-out row, each in a little over a millisecond
    assert 150 < found <= 300
    late = chosen(Clocked(1e-3), None, rows, Budget(0.2, time.perf_counter() - 60))
    assert FEWEST <= late < 130  # a third of the share is left whatever went by


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    series, label = waves(300)
    heard, out = Facts(), tmp_path_factory.mktemp("sampled") / "run"
    settings = {**QUICK, "plan.evaluation_rows": 20}
    run = kt.train({"series": series, "label": label}, steps=3, settings=settings, out=out, logger=heard)
    return run, heard


def test_a_run_is_evaluated_on_as_many_rows_as_its_plan_says_and_says_so(sampled):
    run, heard = sampled
    for which in ("trained", "untrained", "raw"):
        assert (len(run.embeddings(f"{which}-train")), len(run.embeddings(f"{which}-test"))) == (40, 20)
    assert len(before(run.folder).entries) == 20
    told, data = (json.loads((run.path / f"{name}.json").read_text()) for name in ("scores", "data"))
    assert told["rows"] == {
        "train": {"evaluated": 40, "of": data["train"]},
        "test": {"evaluated": 20, "of": data["held_out"]},
    }
    assert {row["rows"] for row in told["scores"] if row["trained"]} == {20}
    assert f"on 20 of {data['held_out']} held-out rows, taught by 40 of {data['train']}" in heard.said["evaluation"]
    assert f"20 of {data['held_out']} test rows" in (run.path / "report.html").read_text()
    assert messages.indexed(told["rows"]).startswith(
        f"the run embedded 60 of its {data['train'] + data['held_out']} rows"
    )
    assert not messages.indexed({"train": {"evaluated": 4, "of": 4}})
    assert not messages.indexed(None)


def test_a_run_that_is_evaluated_whole_says_nothing_of_it(tmp_path):
    heard = Facts()
    run = kt.train({"series": waves(60)[0]}, steps=2, settings=QUICK, out=tmp_path / "run", logger=heard)
    assert "evaluation" not in heard.said
    assert run.experiment.plan.evaluation_rows == USUAL
    assert len(run.embeddings("trained-train")) == json.loads((run.path / "data.json").read_text())["train"]


def test_a_replay_follows_the_pinned_number_and_that_of_runs_from_before_there_was_one(sampled, tmp_path):
    run, _ = sampled
    again, found = kt.replay(
        run.path, data=dict(zip(("series", "label"), waves(300), strict=True)), out=tmp_path / "again"
    )
    assert found.identical
    assert again.experiment.plan.evaluation_rows == 20
    old = json.loads((run.path / "experiment.json").read_text())
    del old["plan"]["evaluation_rows"]
    (run.path / "experiment.json").write_text(json.dumps(old))
    assert begin(Run.load(run.path), tmp_path / "older").experiment().plan.evaluation_rows == EARLIER


def test_a_number_chosen_by_the_clock_is_pinned_before_rows_are_embedded(tmp_path, monkeypatch):
    series, seen = waves(400)[0], []

    def few(model, data, rows, budget):
        seen.append(budget.minutes)
        return 15

    def broken(*given, **named):
        raise RuntimeError("a power cut")

    monkeypatch.setattr(evaluation_rows, "chosen", few)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr("kontrast.runs.pipeline.pipeline.train", broken)
        kt.train({"series": series}, minutes=0.05, settings=QUICK, out=tmp_path / "run")
    assert seen == [0.05]
    pinned = Experiment.from_json((tmp_path / "run" / "experiment.json").read_text())
    assert pinned.plan.evaluation_rows == 15
    untrained = EmbeddingTable.load(tmp_path / "run" / "embeddings" / "untrained-test.parquet")
    run = kt.resume(tmp_path / "run", data={"series": series})
    assert seen == [0.05]
    assert run.embeddings("trained-test").ids.tolist() == untrained.ids.tolist()
    assert len(untrained) == 15


def test_a_run_of_before_goes_on_with_the_rows_that_it_embedded(tmp_path, monkeypatch):
    series = waves(400)[0]

    def broken(*given, **named):
        raise RuntimeError("a power cut")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr("kontrast.runs.pipeline.pipeline.train", broken)
        settings = {**QUICK, "plan.evaluation_rows": EARLIER}
        kt.train({"series": series}, steps=2, settings=settings, out=tmp_path / "run")
    file = tmp_path / "run" / "experiment.json"
    old = json.loads(file.read_text())
    del old["plan"]["evaluation_rows"]
    file.write_text(json.dumps(old))
    monkeypatch.setattr(evaluation_rows, "USUAL", 10)
    run = kt.resume(tmp_path / "run", data={"series": series})
    assert run.experiment.plan.evaluation_rows == EARLIER
    assert len(run.embeddings("trained-test")) == len(run.embeddings("untrained-test")) > 10


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan(minutes=1), (64, 0.025)),  # 21,504 looks are 300 steps of 72
        (Plan(minutes=1, batch=256), (256, 0.1)),
        (Plan(steps=9), (256, 0.1)),
        (Plan(minutes=60), (256, 0.1)),
    ],
)
def test_rows_per_step_follow_from_what_the_minutes_leave(plan, expected):
    foreseen = 0.14 * 60 * (plan.minutes or 0)
    assert pacing.paced(plan, 256, 10_000, 0.1, foreseen) == pytest.approx(expected)


def test_the_doctor_foresees_the_steps_that_the_minutes_will_be_given(monkeypatch):
    import torch

    from kontrast.data.view import Batch, View
    from kontrast.doctor import forecast

    batch = {"": Batch({"x": View("x", torch.zeros(256, 2))}, {"id": torch.arange(256)})}
    order = SimpleNamespace(sampled=SimpleNamespace(rows=np.arange(10_000)), per_epoch=40)
    monkeypatch.setattr(forecast, "first_batch", lambda case: (batch, order))
    monkeypatch.setattr(forecast, "_timed", lambda *given: (SimpleNamespace(words="float32"), 0.5, ""))
    monkeypatch.setattr(
        forecast.memory, "forecast", lambda *given: SimpleNamespace(loss=1, tiles=1, needed=1, device=9, words="1 B")
    )
    experiment = Experiment(plan=Plan(minutes=1, compile="off"))
    case = SimpleNamespace(experiment=experiment, model=SimpleNamespace(learner=torch.nn.Linear(2, 2)))
    (found,) = forecast.Forecast()(case)
    # 42 of the 60 s train: 84 steps of 256 rows, but 336 of 64
    assert (found.numbers["batch"], found.numbers["steps"]) == (64, 336)
    assert "a step of 64 rows" in found.words
