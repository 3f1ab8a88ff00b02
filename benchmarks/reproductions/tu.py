"""Graph classification on sets of the TU collection: ten folds, no label in training.

DATA/tu/NAME.npz holds the graphs, their classes `y` and the official ten folds `fold`. As in the papers, the encoder
trains on all graphs without labels, and a classifier on its embeddings learns nine folds and is tested on the tenth: a
support vector machine as there, or logistic regression.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

import kontrast as kt
from benchmarks.league.ours import processor_time
from benchmarks.reproductions.reproduction import Reproduction
from benchmarks.reproductions.sounds import probe
from kontrast.data.sources.open_source import open_frame
from kontrast.evaluation.svm import SVM
from kontrast.runs.build import learner_of
from kontrast.runs.model import Model

CONTESTANTS = ("raw", "untrained", "learned", "raw + learned")
PUBLISHED = {"MUTAG": (0.868, 0.890), "NCI1": (0.779, None), "IMDBBINARY": (0.711, None)}
"""GraphCL and InfoGraph, as their papers give them: with longer trainings, and C of the machine chosen per fold."""


class TU(Reproduction):
    """Accuracy over ten folds of raw structure, the untrained and the trained encoder, and raw beside learned."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Sets, seconds, recipe and seeds."""
        parser.add_argument("--sets", nargs="*", default=["MUTAG", "IMDBBINARY", "NCI1"])
        parser.add_argument("--seconds", type=float, default=60, help="processor time per training")
        parser.add_argument("--recipe", help="default: the one that kontrast chooses")
        parser.add_argument("--head", choices=("svm", "logistic"), default="svm", help="classifier on the embeddings")
        parser.add_argument("--seeds", type=int, nargs="*", default=[0])

    def run(self, asked: argparse.Namespace) -> str:
        """Plays what is not there yet."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name in asked.sets:
            for seed in asked.seeds:
                said = f"{name}-{asked.recipe or 'default'}-{asked.seconds:g}-{asked.head}-{seed}.json"
                if not (asked.out / said).is_file():
                    data = asked.data / "tu" / f"{name}.npz"
                    result = played(data, asked.seconds, asked.recipe, seed, asked.head)
                    (asked.out / said).write_text(json.dumps(result))
                found.setdefault(name, []).append(json.loads((asked.out / said).read_text()))
        return table(found)


def played(data: Path, seconds: float, recipe: str | None, seed: int, head: str) -> dict[str, Any]:
    """Accuracy of each fold per contestant, and what the training took."""
    frame = open_frame(data, cache=None)
    cells = frame.columns["graph"].to_pylist()
    y, fold = (np.array(frame.columns[name].to_pylist()) for name in ("y", "fold"))
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        with processor_time():
            run = kt.train(
                {"graph": cells},
                recipe=recipe,
                minutes=seconds / 60,
                settings={"source.held_out": 0.0},
                seed=seed,
                out=Path(folder) / "run",
            )
        took = time.process_time() - began
        model, steps = Model.load(run.folder), len((run.path / "metrics.jsonl").read_text().splitlines())
    untrained = replace(model, learner=learner_of(model.experiment, model.modalities, model.facts))
    graph = model.modalities["graph"]
    packed = [graph.pack(graph.read(cell, Path())) for cell in cells]
    parts = [graph.collate(packed[at : at + 128]) for at in range(0, len(packed), 128)]
    features = {"raw": np.concatenate([graph.raw(part).numpy() for part in parts])}
    for name, one in (("untrained", untrained), ("learned", model)):
        one.learner.eval()
        features[name] = np.concatenate([one.embed_views("graph", graph.preprocess(part)).numpy() for part in parts])
    features = {name: StandardScaler().fit_transform(x) for name, x in features.items()}
    features["raw + learned"] = np.hstack([features["raw"], features["learned"]])
    return {
        "seconds": took,
        "steps": steps,
        "folds": {name: folds(x, y, fold, head) for name, x in features.items()},
    }


def folds(x: np.ndarray, y: np.ndarray, fold: np.ndarray, head: str) -> list[float]:
    """Accuracy on each fold of a classifier that learned the others."""
    found = []
    for number in np.unique(fold):
        test = fold == number
        if head == "logistic":
            right = probe(x[~test], y[~test], x[test], y[test])
        else:
            right = SVM().fitted(x[~test], y[~test])(x[test]) == y[test]
        found.append(float(right.mean()))
    return found


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Markdown: accuracy over folds and seeds, and the gain over raw with its interval over folds.

    Args:
        found: Set -> what `played` gave, per seed.
    """
    lines = [f"| set | published | {' | '.join(CONTESTANTS)} | learned - raw | seeds | steps | seconds |"]
    lines.append("|---" * (len(CONTESTANTS) + 6) + "|")
    for name, runs in found.items():
        each = {one: np.mean([run["folds"][one] for run in runs], 0) for one in CONTESTANTS}
        gain = each["learned"] - each["raw"]
        wide = 2.26 * gain.std(ddof=1) / np.sqrt(len(gain))  # Student's t of ten folds
        numbers = " | ".join(f"{each[one].mean():.3f}" for one in CONTESTANTS)
        known = ", ".join(f"{one:.3f}" for one in PUBLISHED.get(name, ()) if one) or "-"
        steps, seconds = (np.mean([run[of] for run in runs]) for of in ("steps", "seconds"))
        change = f"{gain.mean():+.3f} [{gain.mean() - wide:+.3f}, {gain.mean() + wide:+.3f}]"
        lines.append(f"| {name} | {known} | {numbers} | {change} | {len(runs)} | {steps:.0f} | {seconds:.0f} |")
    return "\n".join(lines)
