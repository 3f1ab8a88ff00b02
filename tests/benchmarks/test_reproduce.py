"""benchmarks/reproduce.py: the arithmetic of its tables, and one sub-command from end to end on a few rows."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks.reproduce import main
from benchmarks.reproductions.tables import CONTESTANTS, boosted, interval, probe, table


def test_the_interval_of_a_mean_gain_holds_it_and_narrows_with_more_sets():
    few, many = interval(np.array([0.1, 0.3])), interval(np.tile([0.1, 0.3], 50))
    assert few.startswith("+0.200 [+0.100, +0.300]")
    assert float(many.split("[")[1].split(",")[0]) > 0.15


def test_a_table_has_a_row_per_set_and_gains_over_the_first_contestant():
    row = [0.5, 0.6, 0.7, 0.8, 0.4]
    text = table({"one": {"scores": [row] * 3}, "two": {"scores": [row] * 3}})
    assert "| one | .500 · .600 · .700 · .800 · .400 |" in text
    assert "| raw + learned | +0.300 [+0.300, +0.300] |" in text
    assert len(row) == len(CONTESTANTS)


def test_the_probe_and_boosting_learn_what_is_there():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = np.where(x[:, 0] > 0, "up", "down")
    assert probe(x[:100], y[:100], x[100:], y[100:]) > 0.9
    columns = pd.DataFrame(x, columns=list("abc")).assign(
        word=pd.Series(np.where(y == "up", "a", "b")).astype("category")
    )
    assert boosted(columns[:100], y[:100], columns[100:], y[100:]) > 0.95
    assert probe(x[:4], np.array(["up"] * 4), x, y) == (y == "up").mean()


@pytest.mark.slow
def test_tables_are_played_once_and_printed(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 4)), columns=list("abcd"))
    frame["target"] = np.where(frame["a"] > 0, "up", "down")
    (tmp_path / "tabular").mkdir()
    frame.to_csv(tmp_path / "tabular" / "waves.csv.gz", index=False)
    words = ["reproduce.py", "tables", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--seconds", "0.5"]
    monkeypatch.setattr(sys, "argv", words)
    main()
    first = capsys.readouterr().out
    assert "| waves | " in first
    assert "gain over raw columns, 1 sets" in first
    (kept,) = (tmp_path / "out").iterdir()
    assert json.loads(kept.read_text())["rows"] == 120
    main()
    assert capsys.readouterr().out == first
