"""A long table from training to use: resumed, embedded, evaluated, searched; the same on new rows in any order."""

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

import kontrast as kt
from kontrast.core.errors import UserError
from kontrast.doctor.examine import examine
from kontrast.runs.model import Model
from kontrast.runs.search_query import ask
from tests.support.command import call
from tests.support.journeys import power_cut
from tests.support.short_runs import QUICK, Facts

LONG = {"series": "device", "time": "t"}


def readings(seed, devices=24):
    """Two kinds of devices with dated readings, a tenth of them missing, mixed up."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(devices):
        t = np.flatnonzero(rng.random(int(rng.integers(20, 30))) < 0.9)
        wave = np.sin((0.3 + 0.5 * (n % 2)) * t + rng.uniform(0, 6))
        for at, one in zip(t, wave, strict=True):
            when = np.datetime64("2024-05-17T00:00:00") + 60 * int(at)
            rows.append((f"dev{seed}-{n}", when, one, rng.normal(), "ab"[n % 2], f"{n // 2}"))
    rows = [rows[i] for i in rng.permutation(len(rows))]
    return pa.table(dict(zip(("device", "t", "temp", "load", "state", "site"), zip(*rows, strict=True), strict=True)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    csv.write_csv(readings(0), folder / "readings.csv")
    heard = Facts()
    data, fields = folder / "readings.csv", {"site": "group"}
    run = kt.train(data, **LONG, fields=fields, steps=4, out=folder / "run", settings=QUICK, logger=heard)
    return run, heard.said, folder


def test_the_first_screen_says_what_became_of_the_table(run):
    said = run[1]["data"]
    assert "24 rows · device (id) · state (label) · site (group) · series (series)" in said
    assert "24 series by 'device'" in said
    assert "2 channels: temp, load" in said
    assert "'t': a reading every 1 min" in said
    assert "are gaps" in said
    source = run[0].experiment.source
    assert (source.channels, source.sampling, source.step) == (("temp", "load"), "grid", 60.0)


def test_new_rows_embed_and_evaluate_in_any_order_and_from_any_source(run, tmp_path):
    trained, _, _ = run
    new = readings(1, devices=6)
    pq.write_table(new, tmp_path / "new.parquet")
    order = np.random.default_rng(5).permutation(len(new))
    one, two = trained.embed(tmp_path / "new.parquet"), trained.embed(new.take(order))
    places = [one.ids.tolist().index(name) for name in two.ids]
    np.testing.assert_allclose(one.z["series"][places], two.z["series"], atol=2e-6)
    assert sorted(one.ids) == [f"dev1-{n}" for n in range(6)]
    assert [one.labels[place] for place in places] == two.labels.tolist()
    trained.evaluate(new)
    field, cell = ask(Model.load(trained.folder), str(tmp_path / "new.parquet"), None, text=False)
    assert field == "series"
    np.testing.assert_array_equal(np.shape(cell)[1], 2)
    with pytest.raises(UserError, match="no column 'load'"):
        trained.embed(new.drop_columns("load"))


def test_resumed_after_a_power_cut_it_has_the_same_weights(run, monkeypatch, tmp_path):
    whole, _, folder = run
    settings = {**QUICK, "plan.checkpoint": 0}
    chosen = {"fields": {"site": "group"}, "steps": 4, "settings": settings, "out": tmp_path / "cut"}
    with power_cut(monkeypatch, 3):
        kt.train(folder / "readings.csv", **LONG, **chosen)
    cut = kt.resume(tmp_path / "cut")
    for name, weights in load_file(whole.path / "encoder" / "model.safetensors").items():
        np.testing.assert_array_equal(weights, load_file(cut.path / "encoder" / "model.safetensors")[name])


def test_the_doctor_and_the_command_line_take_the_same_columns(run, tmp_path, capsys):
    _, _, folder = run
    rows = pa.concat_tables([readings(2, devices=8), readings(2, devices=8).slice(0, 9)])
    csv.write_csv(rows, tmp_path / "again.csv")
    settings = {"source.series": "device", "source.time": "t", "plan.batch": 4, **QUICK}
    findings = {one.name: one for one in examine(tmp_path / "again.csv", settings=settings)}
    assert findings["repeated times"].level == "warning"
    assert findings["repeated times"].numbers["rows"] == 9
    assert findings["repeated times"].rows[0].startswith("dev2-")
    assert findings["gaps"].numbers["longest"] >= 1
    assert call("train", folder / "readings.csv", "--series", "devise", "--out", tmp_path / "none") == 2
    assert "no column 'devise', which is the series; did you mean 'device'?" in capsys.readouterr().err
