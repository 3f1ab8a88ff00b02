"""Trackers are told what a run says: TensorBoard and W&B as they are, MLflow by the calls that it gets."""

import json
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.reporting.logger import Logger, Loggers, hearing
from kontrast.runs.tracker_values import of_experiment, of_moment, of_scores
from tests.support.tracked import FOUND, logged, moment


def test_what_trackers_are_told_is_flat_and_finite(folder):
    numbers = of_moment(moment(4))
    assert numbers["train/loss"] == numbers["terms/contrast"] == 1.25
    assert numbers["health/spread"] == 0.9
    assert not any(name.startswith("health/") for name in of_moment(moment(5)))
    several = of_moment(replace(moment(5), norms={"one": 2.0, "two": 0.5}, cosines={"one/two": -0.3}))
    assert (several["gradient/one"], several["gradient/two"], several["cosine/one to two"]) == (2.0, 0.5, -0.3)
    assert of_experiment(folder.path)["seed"] == 7
    assert of_experiment(folder.path)["plan.batch"] == 256
    assert of_scores(folder.path) == {}
    folder.write_json("scores.json", FOUND)
    name = "scores/photo to text R@1"
    assert of_scores(folder.path) == {name: 0.75, f"{name}/low": 0.7, f"{name}/high": 0.8, f"{name}/untrained": 0.25}


class Heard(Logger):
    def __init__(self, fails=False):
        self.words, self.fails = [], fails

    def begun(self, folder):
        self.words.append("begun")

    def ended(self, folder):
        self.words.append("ended")
        if self.fails:
            raise OSError("full disk")

    def fact(self, name, words):
        self.words.append(name)

    def progress(self, what, done, total):
        self.words.append(what)

    def moment(self, moment):
        self.words.append(moment.step)


def test_several_hear_the_same_and_the_end_whatever_happens(folder):
    one, two, three = Heard(), Heard(fails=True), Heard()
    several = Loggers([one, two, three])
    with pytest.raises(OSError, match="full disk"), hearing(several, folder.path):
        several.fact("data", "x")
        several.progress("reading", 1, 2)
        several.moment(moment(3))
        raise KeyboardInterrupt
    assert one.words == two.words == three.words == ["begun", "data", "reading", 3, "ended"]


def curves(path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(path)).Reload()


def test_tensorboard_shows_curves_scores_and_words(folder):
    pytest.importorskip("tensorboard")
    logged(factory.build("trackers", "tensorboard", {"every": 5}), folder, range(1, 13))
    found = curves(folder.path / "tensorboard")
    assert [(x.step, round(x.value, 4)) for x in found.Scalars("train/loss")] == [
        (s, round(5 / s, 4)) for s in (1, 4, 5, 10, 12)
    ]
    assert [(x.step, x.value) for x in found.Scalars("scores/photo to text R@1")] == [(12, 0.75)]
    words = found.Tensors("facts/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "**data** 120 rows" in words


def test_tensorboard_goes_on_where_a_resumed_run_does(folder):
    pytest.importorskip("tensorboard")
    logged(factory.build("trackers", "tensorboard", {"every": 1}), folder, range(1, 9), finish=False)
    logged(factory.build("trackers", "tensorboard", {"every": 1}), folder, range(6, 13))
    found = curves(folder.path / "tensorboard")
    assert [x.step for x in found.Scalars("train/loss")] == list(range(1, 13))


def test_a_refused_run_leaves_nothing_behind(folder):
    pytest.importorskip("tensorboard")
    pytest.importorskip("wandb")
    for name in ("tensorboard", "wandb"):
        logged(factory.build("trackers", name, {}), folder, (), finish=False)
    assert [p.name for p in folder.path.iterdir()] == ["experiment.json"]


@pytest.mark.filterwarnings("ignore")
def test_wandb_writes_offline_without_a_key_and_one_id_for_a_resumed_run(folder, monkeypatch):
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody is there: whoever calls out fails
    logged(factory.build("trackers", "wandb", {"every": 1}), folder, range(1, 9), finish=False)
    logged(factory.build("trackers", "wandb", {"every": 1}), folder, range(6, 13))
    files = sorted((folder.path / "wandb").glob("offline-run-*/*.wandb"))
    known = (folder.path / "wandb" / "id.txt").read_text()
    assert {file.name for file in files} == {f"run-{known}.wandb"}
    rows = [row for file in files for row in history(file)]
    assert [row["_step"] for row in rows] == [*range(1, 9), *range(6, 13)]
    assert rows[3]["health/spread"] == 0.9
    assert summary(files[-1])["scores/photo to text R@1"] == 0.75
    content = b"".join(file.read_bytes() for file in files)
    assert str(Path.cwd()).encode() not in content  # where and by whom it was made is not told
    assert b"pytest" not in content


def records(file):
    """W&B's own file: a header of 7 bytes, then LevelDB's log format: blocks of 32 kB, pieces led by 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    data, at, piece = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        piece += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of several pieces
            record = wandb_internal_pb2.Record()
            record.ParseFromString(piece)
            yield record
            piece = b""


def history(file):
    for record in records(file):
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            yield {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def summary(file):
    found = {}
    for record in records(file):
        if record.WhichOneof("record_type") == "summary":
            for item in record.summary.update:
                found[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return found


class Client:
    """As mlflow.MlflowClient: writes down what it is asked."""

    calls: list

    def __init__(self, uri):
        self.calls.append(("open", uri))

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        self.calls.append(("experiment", name))
        return "17"

    def create_run(self, experiment, run_name):
        self.calls.append(("run", experiment, run_name))
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="abc"))

    def update_run(self, run, status):
        self.calls.append(("again", run, status))

    def log_batch(self, run, metrics=(), params=()):
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.calls += [("metric", run, *metric) for metric in metrics] + [("param", run, *param) for param in params]

    def set_terminated(self, run, status):
        self.calls.append(("end", run, status))


@pytest.fixture
def mlflow(monkeypatch):
    calls = []
    client = type("Client", (Client,), {"calls": calls})
    entities = types.SimpleNamespace(Metric=lambda key, value, time, step: (key, value, step), Param=lambda *a: a)
    module = types.ModuleType("mlflow")
    module.__dict__.update(MlflowClient=client, entities=entities)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    for name in ("sqlalchemy", "alembic"):  # what its store in a file takes
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return calls


def test_mlflow_gets_settings_curves_scores_and_the_end(folder, mlflow):
    logged(factory.build("trackers", "mlflow", {"every": 5}), folder, range(1, 13))
    assert mlflow[0] == ("open", f"sqlite:///{folder.path.resolve() / 'mlflow.db'}")
    assert mlflow[1:3] == [("experiment", "kontrast"), ("run", "17", "waves-1")]
    assert ("param", "abc", "plan.batch", "256") in mlflow
    assert [x[4] for x in mlflow if x[:3] == ("metric", "abc", "train/loss")] == [1, 4, 5, 10, 12]
    assert ("metric", "abc", "scores/photo to text R at 1", 0.75, 12) in mlflow
    assert mlflow[-1] == ("end", "abc", "FINISHED")


def test_mlflow_goes_on_in_the_run_of_an_interrupted_one(folder, mlflow, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    logged(factory.build("trackers", "mlflow", {}), folder, range(1, 4), finish=False)
    assert mlflow[-1] == ("end", "abc", "KILLED")
    mlflow.clear()
    logged(factory.build("trackers", "mlflow", {}), folder, range(3, 13))
    assert mlflow[:2] == [("open", "sqlite:///elsewhere.db"), ("again", "abc", "RUNNING")]


def test_a_tracker_that_is_not_installed_is_named_with_what_brings_it(monkeypatch):
    for name, words in (
        ("tensorboard", r"kontrast\[track\]"),
        ("wandb", r"kontrast\[track\]"),
        ("mlflow", "pip install mlflow-skinny sqlalchemy alembic"),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises((UserError, ImportError)) as refused:
            factory.build("trackers", name, {})
        assert refused.match(words)
    with pytest.raises(UserError, match="did you mean 'wandb'"):
        factory.build("trackers", "wandbb", {})


def test_mlflow_needs_a_database_only_where_it_keeps_runs_in_a_file(mlflow, monkeypatch):
    monkeypatch.setitem(sys.modules, "alembic", None)
    with pytest.raises(UserError, match="needs the package 'alembic'"):
        factory.build("trackers", "mlflow", {})
    factory.build("trackers", "mlflow", {"uri": "http://127.0.0.1:5000"})
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match=r"pip install mlflow-skinny \(the full"):
        factory.build("trackers", "mlflow", {"uri": "http://127.0.0.1:5000"})
