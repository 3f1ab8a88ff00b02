"""Forecasts of ETT: ridge regression from causal vectors of instants, beside raw windows and the untrained encoder.

DATA/ett/ETT-small/NAME.csv holds hourly values of a transformer. As by TS2Vec's authors: the oil temperature is
forecast from itself and seven numbers of the date, in standard units of the first 12 months; the next 4 months choose
the penalty and the last 4 are the test; vectors come from windows of 201 instants of the past. Training takes parts of
the first 12 months as rows.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import kontrast as kt
from benchmarks.reproductions.reproduction import Reproduction
from kontrast.evaluation.forecasting import forecasting_errors, past_values
from kontrast.reporting.logger import NullLogger
from kontrast.runs.build import learner_of
from kontrast.runs.instants import Windows, at_full_length, embed_instants
from kontrast.runs.model import Model
from kontrast.runs.opened import opened

MONTH = 30 * 24
VIEW = "x"
CONTESTANTS = ("raw window", "untrained", "learned")
# Yue et al. 2022, arXiv:2106.10466, univariate: horizon -> mean squared and absolute error. Quoted from memory and not
# checked against the paper, whose table was not at hand; the authors' repository holds no table.
PUBLISHED = {
    "ETTh1": {24: (0.039, 0.152), 48: (0.062, 0.191), 168: (0.134, 0.282)},
    "ETTh2": {24: (0.090, 0.229), 48: (0.124, 0.273), 168: (0.208, 0.360)},
}


class Ett(Reproduction):
    """Mean squared and absolute error per set, horizon and contestant."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Sets, horizons, seeds, training and its parts."""
        parser.add_argument("--sets", nargs="*", default=["ETTh1"], help="ETTh1, ETTh2")
        parser.add_argument("--horizons", type=int, nargs="*", default=[24, 48, 168])
        parser.add_argument("--seeds", type=int, nargs="*", default=[0])
        parser.add_argument("--steps", type=int, default=200, help="200 of 8 rows, as the authors train")
        parser.add_argument("--part", type=int, default=720, help="instants of a training row")
        parser.add_argument("--depth", type=int, default=10, help="blocks of the encoder")
        parser.add_argument("--padding", type=int, default=200, help="instants of the past in a window")
        parser.add_argument("--months", type=int, nargs=3, default=[12, 4, 4], help="of the three parts")

    def run(self, asked: argparse.Namespace) -> str:
        """Plays the sets and seeds that are not there yet."""
        cells: dict[str, list[dict[str, Any]]] = {}
        for name in asked.sets:
            for seed in asked.seeds:
                numbers = [seed, asked.steps, asked.part, asked.depth, asked.padding, *asked.months, *asked.horizons]
                kept = asked.out / f"{'-'.join(map(str, [name, *numbers]))}.json"
                if not kept.is_file():
                    kept.write_text(json.dumps(play(asked, asked.data / "ett" / "ETT-small" / f"{name}.csv", seed)))
                cells.setdefault(name, []).append(json.loads(kept.read_text()))
        return table(cells)


def read(file: Path, months: list[int]) -> tuple[np.ndarray, list[slice]]:
    """Numbers of the date and the oil temperature last, (T, 8), in standard units of the first part; the parts."""
    frame = pd.read_csv(file, parse_dates=["date"])
    edges = np.concatenate([[0], np.cumsum(months)]) * MONTH
    date = frame["date"].dt
    numbers = [
        date.minute,
        date.hour,
        date.day_of_week,
        date.day,
        date.day_of_year,
        date.month,
        date.isocalendar().week,
    ]
    x = np.stack([*numbers, frame["OT"]], 1).astype(np.float64)[: edges[-1]]
    first = x[: edges[1]]
    deviation = first.std(0)
    scaled = (x - first.mean(0)) / np.where(deviation > 0, deviation, 1)
    return scaled, [slice(int(a), int(b)) for a, b in pairwise(edges)]


def play(asked: argparse.Namespace, file: Path, seed: int) -> dict[str, Any]:
    """Errors by contestant and horizon, and what training and embedding took."""
    series, parts = read(file, asked.months)
    train = series[parts[0]]
    rows = [train[begin : begin + asked.part] for begin in range(0, len(train) - asked.part + 1, asked.part)]
    settings = {
        "scores": [],
        "source.held_out": 0.0,
        "plan.batch": min(8, len(rows)),
        f"views.{VIEW}.normalise": "none",
        f"views.{VIEW}.length": asked.part,
        "encoders.series.depth": asked.depth,
    }
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = kt.train(
            {VIEW: rows},
            recipe="ts2vec",
            fields={VIEW: "series"},
            steps=asked.steps,
            seed=seed,
            settings=settings,
            out=Path(folder) / "run",
        )
        trained = time.process_time()
        model = Model.load(run.folder)
        untrained = replace(model, learner=learner_of(model.experiment, model.modalities, model.facts))
        features = {
            "raw window": np.hstack([past_values(series[:, -1:], asked.padding + 1), series[:, :-1]]),
            "untrained": vectors(untrained, series, asked.padding),
            "learned": vectors(model, series, asked.padding),
        }
        embedded = time.process_time()
    errors = {}
    for name, x in features.items():
        found = [
            forecasting_errors(x, series[:, -1:], parts, horizon, skip=asked.padding) for horizon in asked.horizons
        ]
        errors[name] = {horizon: vars(one) for horizon, one in zip(asked.horizons, found, strict=True)}
    return {"errors": errors, "training": trained - began, "embedding": (embedded - trained) / 2}


def vectors(model: Model, series: np.ndarray, padding: int) -> np.ndarray:
    """A vector per instant of one series, each from a window of the past."""
    whole = at_full_length(model, VIEW)
    with opened(whole, {VIEW: [series]}, False, NullLogger()) as dataset:
        return embed_instants(whole, dataset, VIEW, Windows("causal", padding=padding)).z


def table(cells: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: mean squared · absolute error per set and horizon, means over seeds; seconds below."""
    heads = ["set", "horizon", "published TS2Vec (from memory, unchecked)", *CONTESTANTS]
    lines = ["MSE · MAE:", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, found in cells.items():
        for horizon in found[0]["errors"]["learned"]:
            means = [
                tuple(np.mean([cell["errors"][who][horizon][error] for cell in found]) for error in ("mse", "mae"))
                for who in CONTESTANTS
            ]
            known = PUBLISHED.get(name, {}).get(int(horizon))
            words = [
                f"{mse:.3f} · {mae:.3f}" if mse is not None else "" for mse, mae in [known or (None, None), *means]
            ]
            lines.append(f"| {name} | {horizon} | {' | '.join(words)} |")
    every = [cell for found in cells.values() for cell in found]
    spent = [f"{what} {np.mean([cell[what] for cell in every]):.0f}" for what in ("training", "embedding")]
    return "\n".join([*lines, "", f"Processor seconds per run: {', '.join(spent)}; {len(every)} runs."])
