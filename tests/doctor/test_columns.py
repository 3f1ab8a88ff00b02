"""The doctor on tables: a column that gives the label away, and boosting far ahead of a linear model."""

import numpy as np
import pandas as pd

from kontrast.doctor.examine import examine

QUICK = {"encoders.table": {"name": "column_mlp", "hidden": 8, "out": 8}}


def found(frame, name):
    return [finding for finding in examine(frame, settings=QUICK) if finding.name == name]


def squares(n=400, **more):
    """Whether two numbers have the same sign, which no linear model can tell."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=n), rng.normal(size=n)
    target = np.where(a * b > 0, "same", "other")
    return pd.DataFrame({"a": a, "b": b, "c": rng.normal(size=n), **more, "target": target})


def test_boosting_far_ahead_of_a_linear_model_is_said():
    (finding,) = found(squares(), "boosting is ahead")
    assert finding.level == "note"
    assert finding.numbers["boosting"] > 0.8 > 0.6 > finding.numbers["linear"]
    assert "to predict 'target' alone, take boosted trees" in finding.words


def test_a_label_that_a_linear_model_reads_as_well_is_a_fact():
    frame = squares()
    frame["target"] = np.where(frame["a"] + frame["b"] > 0, "up", "down")
    assert not found(frame, "boosting is ahead")
    assert "'target' from the columns alone" in found(frame, "columns")[0].words


def test_a_column_that_tells_the_label_is_warned_of():
    frame = squares()
    frame["code"] = np.where(frame["target"] == "same", 7.5, 1.5) + np.random.default_rng(1).normal(0, 0.01, 400)
    frame["mark"] = np.where(frame["target"] == "same", "plus", "minus")
    warned = found(frame, "label leak")
    assert {finding.level for finding in warned} == {"warning"}
    assert {finding.numbers["column"] for finding in warned} == {"code", "mark"}
    assert "--field code=ignore" in warned[0].words
    assert not found(squares(), "label leak")
