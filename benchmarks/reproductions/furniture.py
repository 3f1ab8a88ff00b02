"""Furniture: point clouds with their pictures and names, a probe of categories, retrieval, and categories by name.

DATA/sweethome3d/sweethome3d.npz holds 820 clouds of 2,048 points and a rendered picture of each, sweethome3d.json their
names in 21 languages and 12 categories. A quarter of the rows tests.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

import kontrast as kt
from benchmarks.league.ours import processor_time
from benchmarks.reproductions import sounds
from benchmarks.reproductions.reproduction import Reproduction
from kontrast.runs.build import learner_of
from kontrast.runs.model import Model

COLUMNS = {"clouds alone": ["points"], "clouds, pictures and names": ["points", "icon", "name"]}
PROBED = ("raw", "untrained", "learned", "raw + learned")
SMALLEST = 4  # rows of a category that the probe knows


@dataclass(frozen=True)
class Rows:
    """The furniture.

    Attributes:
        columns: `points`, `icon` and `name` of each row.
        labels: (N,) categories.
    """

    columns: dict[str, list[Any]]
    labels: np.ndarray

    def some(self, names: Sequence[str], rows: np.ndarray) -> dict[str, list[Any]]:
        """Columns of some rows."""
        return {name: [self.columns[name][row] for row in rows] for name in names}


class Furniture(Reproduction):
    """Accuracy of probes on clouds, retrieval of pictures and names by clouds, and categories by their names."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Seconds and seeds."""
        parser.add_argument("--seconds", type=float, default=120, help="processor time per training")
        parser.add_argument("--encoder", default="pointnet", help="of the clouds")
        parser.add_argument("--seeds", type=int, nargs="*", default=[0])

    def run(self, asked: argparse.Namespace) -> str:
        """Plays what is not there yet."""
        data = furniture(asked.data / "sweethome3d")
        found: dict[str, list[dict[str, Any]]] = {}
        for name, columns in COLUMNS.items():
            for seed in asked.seeds:
                kept = asked.out / f"{len(columns)}-{asked.encoder}-{asked.seconds:g}-{seed}.json"
                if not kept.is_file():
                    kept.write_text(json.dumps(play(data, columns, asked.seconds, asked.encoder, seed)))
                found.setdefault(name, []).append(json.loads(kept.read_text()))
        return table(found)


def furniture(folder: Path) -> Rows:
    """All rows of a category with a few of its kind."""
    with np.load(folder / "sweethome3d.npz") as archive:
        clouds, icons = archive["points"], archive["icon"]
    rows = json.loads((folder / "sweethome3d.json").read_text(encoding="utf8"))
    labels = np.array([row["category"] for row in rows])
    kept = np.flatnonzero([(labels == label).sum() >= SMALLEST for label in labels])
    columns = {
        "points": [clouds[row].astype(np.float32) / 32767 for row in kept],
        "icon": [icons[row] for row in kept],
        "name": [list(dict.fromkeys(rows[row]["name"].values())) for row in kept],
    }
    return Rows(columns, labels[kept])


def play(data: Rows, columns: Sequence[str], seconds: float, encoder: str, seed: int) -> dict[str, Any]:
    """Trains without categories; returns per contestant which test rows are right.

    Args:
        data: The furniture.
        columns: Columns that the training sees.
        seconds: Processor time of the training.
        encoder: Encoder of the clouds.
        seed: Of the run and of the split.
    """
    every = np.arange(len(data.labels))
    parts = train_test_split(every, test_size=0.25, random_state=seed, stratify=data.labels)
    train, test = map(np.asarray, parts)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        with processor_time():
            run = kt.train(
                data.some(columns, train),
                fields={name: {"points": "points", "icon": "image", "name": "text"}[name] for name in columns},
                encoders={"points": encoder},
                minutes=seconds / 60,
                settings={"source.held_out": 0.0, "views.points.up": "y"},
                seed=seed,
                out=Path(folder) / "run",
            )
        took = time.process_time() - began
        model = Model.load(run.folder)
        found = {"right": probed(data, model, train, test), "seconds": took}
        if "name" in columns:
            found["right"] |= shared(data, run, test)
    return found


def probed(data: Rows, model: Model, train: np.ndarray, test: np.ndarray) -> dict[str, list[bool]]:
    """Which test clouds a linear probe puts into their category, per contestant."""
    points = model.modalities["points"]
    untrained = replace(model, learner=learner_of(model.experiment, model.modalities, model.facts))
    packed = [points.pack(points.read(cell, Path())) for cell in data.columns["points"]]
    features = {
        "raw": points.raw(points.collate(packed)).numpy(),
        "untrained": embedded(untrained, packed),
        "learned": embedded(model, packed),
    }
    features["raw + learned"] = np.hstack([features["raw"], features["learned"]])
    y = data.labels
    return {name: sounds.probe(x[train], y[train], x[test], y[test]).tolist() for name, x in features.items()}


def embedded(model: Model, packed: Sequence[Any]) -> np.ndarray:
    """Embeddings of packed clouds."""
    model.learner.eval()
    points, found = model.modalities["points"], []
    for start in range(0, len(packed), 64):
        batch = points.collate(packed[start : start + 64])
        found.append(np.mean([model.embed_views("points", window).numpy() for window in points.windows(batch)], 0))
    return np.concatenate(found)


def shared(data: Rows, run: Any, test: np.ndarray) -> dict[str, list[bool]]:
    """What clouds find in the shared space: their own picture and name among the test rows, and their category."""
    z = run.embed(data.some(["points", "icon", "name"], test)).z
    clouds = unit(z["points"])
    found = {}
    for other in ("icon", "name"):
        best = (clouds @ unit(z[other]).T).argmax(1)
        found[f"cloud to {other}"] = (best == np.arange(len(test))).tolist()
    classes = np.unique(data.labels)
    words = unit(run.embed({"name": [[str(label)] for label in classes]}).z["name"])
    found["category by name"] = (classes[(clouds @ words.T).argmax(1)] == data.labels[test]).tolist()
    return found


def unit(z: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: accuracies of the probe and of the shared space."""
    more = ("cloud to icon", "cloud to name", "category by name")
    lines = [
        f"| trained on | {' | '.join((*PROBED, *more))} | learned - raw | seconds |",
        "|---" * (len(PROBED) + 6) + "|",
    ]
    for name, parts in rows.items():
        right = {one: np.concatenate([part["right"][one] for part in parts]).astype(float) for one in parts[0]["right"]}
        numbers = [f"{right[one].mean():.3f}".lstrip("0") if one in right else "" for one in (*PROBED, *more)]
        gain = sounds.interval(right["learned"] - right["raw"])
        seconds = np.mean([part["seconds"] for part in parts])
        lines.append("| " + " | ".join([name, *numbers, gain, f"{seconds:.0f}"]) + " |")
    return "\n".join(lines)
