"""Anomalies of SMAP and MSL: areas under curves per channel, beside raw windows and the untrained encoder.

DATA/smap_msl/NAME.npz holds telemetry of 54 and 27 channels: CHANNEL__train without known anomalies, CHANNEL__test and
CHANNEL__label. One encoder per set is trained by TS2Vec on parts of the training series of the chosen channels. Scores
of test instants are compared with the labels, each instant for itself:

- neighbours: mean distance to the 5 nearest training instants of the channel, from whole rows;
- masked: distance of the vector of an instant to that without it, from causal windows, as by TS2Vec's authors.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import kontrast as kt
from benchmarks.reproductions.reproduction import Reproduction
from benchmarks.reproductions.tables import interval
from kontrast.core.instant_table import InstantTable
from kontrast.evaluation.detection import detection
from kontrast.evaluation.forecasting import past_values
from kontrast.reporting.logger import NullLogger
from kontrast.runs.anomalies import Scoring, by_neighbours, instant_scores
from kontrast.runs.build import learner_of
from kontrast.runs.instants import at_full_length
from kontrast.runs.model import Model
from kontrast.runs.opened import opened

VIEW = "x"
CONTESTANTS = (
    "raw window, neighbours",
    "untrained, neighbours",
    "learned, neighbours",
    "untrained, masked",
    "learned, masked",
)


class Anomaly(Reproduction):
    """AUROC and AUPRC, means over channels."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Sets, channels, training and windows; the defaults are those of TS2Vec's authors."""
        parser.add_argument("--sets", nargs="*", default=["SMAP", "MSL"])
        parser.add_argument("--channels", type=int, default=100, help="of a set, evenly spread over their names")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--steps", type=int, default=600, help="of 8 rows")
        parser.add_argument("--part", type=int, default=256, help="instants of a training row")
        parser.add_argument("--depth", type=int, default=10, help="blocks of the encoder")
        parser.add_argument("--hidden", type=int, default=64, help="features inside the encoder")
        parser.add_argument("--width", type=int, default=320, help="features of an instant")
        parser.add_argument("--padding", type=int, default=200, help="instants of the past in a causal window")
        parser.add_argument("--raw", type=int, default=32, help="instants in a raw window")

    def run(self, asked: argparse.Namespace) -> str:
        """Plays the channels that are not there yet."""
        found: dict[str, dict[str, Any]] = {}
        for name in asked.sets:
            with np.load(asked.data / "smap_msl" / f"{name}.npz") as archive:
                members = dict(archive)
            channels = chosen(sorted({key.split("__")[0] for key in members}), asked.channels)
            sizes = (asked.seed, asked.steps, asked.part, asked.depth, asked.hidden, asked.width, asked.padding)
            place = asked.out / "-".join(map(str, [name, len(channels), *sizes, asked.raw]))
            place.mkdir(parents=True, exist_ok=True)
            files = {channel: place / f"{channel}.json" for channel in channels}
            if not all(file.is_file() for file in files.values()):
                play(asked, members, files, place / "training.json")
            cells = {channel: json.loads(file.read_text()) for channel, file in files.items()}
            found[name] = {"cells": cells, **json.loads((place / "training.json").read_text())}
        return table(found)


def chosen(channels: list[str], count: int) -> list[str]:
    """At most `count` channels, evenly spread."""
    places = np.linspace(0, len(channels) - 1, min(count, len(channels))).round().astype(int)
    return [channels[place] for place in places]


def play(asked: argparse.Namespace, members: dict[str, np.ndarray], files: dict[str, Path], spent: Path) -> None:
    """Trains one encoder on all channels, and writes what each channel's scores are worth."""
    parts = [
        train[begin : begin + asked.part]
        for train in (members[f"{channel}__train"] for channel in files)
        for begin in range(0, len(train) - asked.part + 1, asked.part)
    ]
    encoder = {"name": "dilated_cnn", "depth": asked.depth, "hidden": asked.hidden, "out": asked.width}
    settings = {
        "scores": [],
        "source.held_out": 0.0,
        "plan.batch": min(8, len(parts)),
        f"views.{VIEW}.normalise": "dataset",
        f"views.{VIEW}.length": asked.part,
        "encoders.series": encoder,
    }
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = kt.train(
            {VIEW: parts},
            recipe="ts2vec",
            fields={VIEW: "series"},
            steps=asked.steps,
            seed=asked.seed,
            settings=settings,
            out=Path(folder) / "run",
        )
        spent.write_text(json.dumps({"training": time.process_time() - began, "parts": len(parts)}))
        model = Model.load(run.folder)
    untrained = replace(model, learner=learner_of(model.experiment, model.modalities, model.facts))
    models = {"untrained": at_full_length(untrained, VIEW), "learned": at_full_length(model, VIEW)}
    for channel, file in files.items():
        if not file.is_file():
            series = [members[f"{channel}__{part}"] for part in ("train", "test")]
            file.write_text(json.dumps(scores(asked, series, members[f"{channel}__label"], models)))


def scores(
    asked: argparse.Namespace, series: list[np.ndarray], labels: np.ndarray, models: dict[str, Model]
) -> dict[str, Any]:
    """Areas by contestant for one channel, and what it took."""
    began = time.process_time()
    scaled = [(part - series[0].mean(0)) / np.where(series[0].std(0) > 0, series[0].std(0), 1) for part in series]
    near = Scoring("instants", padding=asked.raw)
    found = {"raw window, neighbours": neighbours([past_values(part, asked.raw) for part in scaled], near)}
    for name, model in models.items():
        with opened(model, {VIEW: series}, False, NullLogger()) as data:
            vectors, _ = instant_scores(model, data, VIEW, near, NullLogger())
        found[f"{name}, neighbours"] = neighbours([vectors.vectors(0), vectors.vectors(1)], near)
        with opened(model, {VIEW: series[1:]}, False, NullLogger()) as data:
            how = Scoring("masked", padding=asked.padding)
            found[f"{name}, masked"] = instant_scores(model, data, VIEW, how, NullLogger())[1]
    areas = {name: detection(score, labels) for name, score in found.items()}
    return {
        "areas": {name: [one.auroc, one.auprc] for name, one in areas.items() if one is not None},
        "share": float(labels.mean()),
        "instants": len(labels),
        "seconds": time.process_time() - began,
    }


def neighbours(vectors: list[np.ndarray], how: Scoring) -> np.ndarray:
    """Scores of test instants, from vectors of training and test instants of one channel."""
    train, test = (
        InstantTable(VIEW, np.array(["row"]), np.zeros(len(z), np.int64), np.arange(len(z)), z) for z in vectors
    )
    return by_neighbours(test, np.zeros(1, np.int64), train, np.ones(1, np.int64), how)[0]


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown: means over channels with intervals, and paired gains of the learned encoder."""
    lines = ["Means over channels [95 % bootstrap interval]; nothing is published for TS2Vec by these measures.", ""]
    lines += ["| set | channels | score | AUROC | AUPRC |", "|---" * 5 + "|"]
    for name, one in found.items():
        cells = list(one["cells"].values())
        areas = {who: np.array([cell["areas"][who] for cell in cells]) for who in CONTESTANTS}
        for who, values in areas.items():
            means = [interval(column).removeprefix("+").replace("[+", "[").replace(" +", " ") for column in values.T]
            lines.append(f"| {name} | {len(cells)} | {who} | {means[0]} | {means[1]} |")
        chance = np.mean([cell["share"] for cell in cells])
        lines.append(f"| {name} | {len(cells)} | chance | 0.500 | {chance:.3f} |")
        for who, other in (("neighbours", "raw window"), ("neighbours", "untrained"), ("masked", "untrained")):
            gains = areas[f"learned, {who}"] - areas[f"{other}, {who}"]
            means = [interval(column) for column in gains.T]
            lines.append(f"| {name} | {len(cells)} | learned over {other}, {who} | {means[0]} | {means[1]} |")
    spent = [
        f"{name}: training {one['training']:.0f} on {one['parts']} parts, "
        f"scores {np.mean([cell['seconds'] for cell in one['cells'].values()]):.0f} per channel"
        for name, one in found.items()
    ]
    return "\n".join([*lines, "", f"Processor seconds: {'; '.join(spent)}."])
