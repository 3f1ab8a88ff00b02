"""benchmarks/reproduce.py ett: its parts and table, and the sub-command from end to end on a short file."""

import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks.reproduce import main
from benchmarks.reproductions.ett import MONTH, read, table


def write(folder, months):
    """A daily and a weekly wave, hourly."""
    t = np.arange(months * MONTH)
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=len(t), freq="h")})
    frame["OT"] = 20 + 5 * np.sin(2 * np.pi * t / 24) + 2 * np.sin(2 * np.pi * t / 168)
    (folder / "ett" / "ETT-small").mkdir(parents=True)
    frame.to_csv(folder / "ett" / "ETT-small" / "ETTh1.csv", index=False)
    return frame


def test_parts_are_months_and_units_those_of_the_first(tmp_path):
    frame = write(tmp_path, 5)
    series, parts = read(tmp_path / "ett" / "ETT-small" / "ETTh1.csv", [2, 1, 1])
    assert series.shape == (4 * MONTH, 8)
    assert [(part.start, part.stop) for part in parts] == [(0, 1440), (1440, 2160), (2160, 2880)]
    assert np.isfinite(series).all()
    first = frame["OT"][:1440]
    np.testing.assert_allclose(series[:, -1], (frame["OT"][:2880] - first.mean()) / first.std(ddof=0))


def test_the_table_holds_means_over_seeds_beside_what_is_published():
    def cell(mse):
        one = {"24": {"mse": mse, "mae": 2 * mse}}
        return {"errors": dict.fromkeys(("raw window", "untrained", "learned"), one), "training": 3.0, "embedding": 5.0}

    text = table({"ETTh1": [cell(0.1), cell(0.3)]})
    assert "| ETTh1 | 24 | 0.039 · 0.152 | 0.200 · 0.400 | 0.200 · 0.400 | 0.200 · 0.400 |" in text
    assert "training 3, embedding 5; 2 runs" in text


@pytest.mark.slow
def test_forecasts_are_played_once_and_printed(tmp_path, monkeypatch, capsys):
    write(tmp_path, 3)
    words = ["reproduce.py", "ett", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--steps", "2"]
    words += ["--months", "1", "1", "1", "--horizons", "24", "--part", "60", "--depth", "1", "--padding", "6"]
    monkeypatch.setattr(sys, "argv", words)
    main()
    first = capsys.readouterr().out
    assert "| ETTh1 | 24 | 0.039" in first
    main()
    assert capsys.readouterr().out == first
