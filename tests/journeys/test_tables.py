"""The journey of a table: train, resume, embed other frames, evaluate, index, search, report, ONNX, two processes."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import kontrast as kt
from kontrast.exports.exporting import export
from tests.support.journeys import number, same_whatever_the_batch, travels
from tests.support.settings import FAST

pytestmark = pytest.mark.slow
SMALL = {**FAST, "encoders.table": {"name": "column_mlp", "hidden": 32, "out": 32}}
JOBS = ("cook", "nurse", "pilot")


def people(n=240, seed=0):
    """Rows of three kinds, each with numbers, a category and a date that go together."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    columns = {
        "age": kind * 15 + rng.normal(30, 4, n),
        "pay": np.exp(kind + rng.normal(7, 0.4, n)),
        "weight": 10.0 * (kind == 1) + rng.normal(70, 3, n),
        "job": np.where(rng.random(n) < 0.8, np.array(JOBS)[kind], "other"),
        "hired": pd.Timestamp("2020-01-01") + pd.to_timedelta(300 * kind + rng.integers(0, 200, n), unit="D"),
        "target": [f"kind {k}" for k in kind],
    }
    frame = pd.DataFrame(columns)
    frame.loc[::9, "age"] = None
    return frame


def test_a_table_goes_all_the_way(tmp_path):
    data = tmp_path / "people.csv"
    people().to_csv(data, index=False)
    run = travels(data, tmp_path, steps=60, settings=SMALL)
    assert run.experiment.views["table"].settings["columns"] == ["age", "pay", "weight", "job", "hired"]
    assert number(run, "linear accuracy") > 0.8
    same_whatever_the_batch(run, data)

    new = people(20, seed=1).drop(columns=["weight", "target"]).assign(planet="Mars", job="astronaut")
    assert np.isfinite(run.embed(new).z["table"]).all()
    with pytest.raises(kt.UserError, match=r"none of this run's fields \(table, age, hired, job, pay, weight\)"):
        run.embed(pd.DataFrame({"planet": ["Mars"] * 3, "moons": [1, 2, 3]}))
    table = run.evaluate(people(90, seed=2))
    assert next(row for row in table if row["name"] == "linear accuracy")["trained"]["value"] > 0.7

    run.index(data)
    cells = {"age": 60, "pay": 9000, "job": "pilot", "hired": "2021-10-01"}
    labels = [hit.label for hit in run.search(like=json.dumps(cells), k=5)]
    assert labels.count("kind 2") >= 4
    assert run.search(like=cells, k=1, where="job = 'pilot'")[0].label == "kind 2"

    export(run, "onnx", tmp_path / "onnx")
    described = json.loads((tmp_path / "onnx" / "columns.json").read_text())
    assert {column["column"] for column in described} == {"age", "pay", "weight", "job", "hired"}
    assert json.loads((tmp_path / "onnx" / "metadata.json").read_text())["parity"]["least_cosine"] > 0.9999


@pytest.mark.dist
def test_two_processes_train_what_one_does(tmp_path):
    data = tmp_path / "people.csv"
    people(120).to_csv(data, index=False)
    words = [sys.executable, "-m", "kontrast", "train", data, "--steps", 4, "--batch", 11, "--precision", "32"]
    found = []
    for more in (["--out", tmp_path / "one"], ["--out", tmp_path / "two", "--devices", 2]):
        done = subprocess.run([*map(str, [*words, *more])], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = (more[1] / "metrics.jsonl").read_text().splitlines()
        found.append([json.loads(line)["loss"] for line in lines])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


@pytest.mark.parametrize("recipe", ["scarf", "subtab", "vime", "masked", "supcon"])
def test_recipes_of_tables_train(recipe, tmp_path):
    run = kt.train(people(100), recipe=recipe, steps=3, out=tmp_path / "run", settings=SMALL)
    assert np.isfinite(run.embeddings().z["table"]).all()


def test_a_table_learns_to_find_its_text(tmp_path):
    words = {"cook": "cooks soup in a kitchen", "nurse": "cares for the ill", "pilot": "flies planes over seas"}
    data = people(200).drop(columns=["target"])
    data["text"] = [f"number {i} {words.get(job, 'does something else')}" for i, job in enumerate(data["job"])]
    settings = {**SMALL, "encoders.text": {"name": "tokens", "width": 32}}
    run = kt.train(data, fields={"table": "table"}, steps=40, out=tmp_path / "run", settings=settings)
    assert run.experiment.names == "clip"
    assert number(run, "text>table R@10") > number(run, "text>table R@10", "untrained")
