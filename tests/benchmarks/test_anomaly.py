"""benchmarks/reproduce.py anomaly: its choice of channels, scores of one channel, and its table."""

import numpy as np

from benchmarks.reproductions.anomaly import CONTESTANTS, chosen, neighbours, table
from kontrast.runs.anomalies import Scoring


def test_channels_are_spread_over_their_names():
    names = [f"A-{number}" for number in range(9)]
    assert chosen(names, 3) == ["A-0", "A-4", "A-8"]
    assert chosen(names, 99) == names


def test_a_test_instant_far_from_those_of_training_scores_high():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(200, 3)).astype("f4"), rng.normal(size=(50, 3)).astype("f4")
    test[20] += 9
    assert neighbours([train, test], Scoring("instants", padding=4)).argmax() == 20


def test_the_table_holds_means_over_channels_and_paired_gains():
    def cell(area):
        areas = {who: [area, area / 2] for who in CONTESTANTS}
        areas["learned, neighbours"] = [area + 0.1, area / 2 + 0.2]
        return {"areas": areas, "share": 0.05, "instants": 9, "seconds": 4.0}

    text = table({"SMAP": {"cells": {"A-1": cell(0.6), "A-2": cell(0.6)}, "training": 7.0, "parts": 22}})
    assert "| SMAP | 2 | learned, neighbours | 0.700 [0.700, 0.700] | 0.500 [0.500, 0.500] |" in text
    assert "| SMAP | 2 | chance | 0.500 | 0.050 |" in text
    assert "| SMAP | 2 | learned over raw window, neighbours | +0.100 [+0.100, +0.100] | +0.200" in text
    assert "training 7 on 22 parts, scores 4 per channel" in text
