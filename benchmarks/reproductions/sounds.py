"""What the tables of sounds share: training without labels, and one probe for raw, untrained and learned features."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import kontrast as kt
from benchmarks.league.ours import processor_time
from kontrast.runs.build import learner_of
from kontrast.runs.model import Model

CONTESTANTS = ("raw", "untrained", "learned", "raw + learned")
PENALTIES = (0.01, 0.1, 1.0)
DRAWS = 1_000  # of the bootstrap


@dataclass(frozen=True)
class Sounds:
    """Encoded clips of a set.

    Attributes:
        cells: Files as bytes.
        labels: (N,) strings.
        parts: The other members of the archive.
    """

    cells: list[bytes]
    labels: np.ndarray
    parts: dict[str, np.ndarray]


def sounds(file: Path, label: str) -> Sounds:
    """Clips of a packed archive, undecoded."""
    with np.load(file) as archive:
        members = dict(archive)
    blob, ends = members.pop("blob").tobytes(), members.pop("off")
    cells = [blob[a:b] for a, b in pairwise(ends)]
    return Sounds(cells, members[label].astype(str), members)


def play(
    data: Sounds, train: np.ndarray, test: np.ndarray, seconds: float, recipe: str | None, seed: int
) -> dict[str, Any]:
    """Trains on the training clips without their labels; returns per contestant which test clips are right.

    Args:
        data: The set.
        train: Rows that train, and whose labels the probe sees.
        test: Rows to be recognised.
        seconds: Processor time of the training.
        recipe: Its name; None for what kontrast chooses.
        seed: Of the run.
    """
    features, took = represented(data, train, seconds, recipe, seed)
    right = {name: probe(x[train], data.labels[train], x[test], data.labels[test]) for name, x in features.items()}
    return {"right": {name: hits.tolist() for name, hits in right.items()}, "seconds": took}


def represented(
    data: Sounds, train: np.ndarray, seconds: float, recipe: str | None, seed: int
) -> tuple[dict[str, np.ndarray], float]:
    """Features of all clips by contestant, after a training on some without labels; and the processor seconds.

    Args:
        data: The set.
        train: Rows that train.
        seconds: Processor time of the training.
        recipe: Its name; None for what kontrast chooses.
        seed: Of the run.
    """
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        with processor_time():
            run = kt.train(
                {"audio": [data.cells[row] for row in train]},
                recipe=recipe,
                minutes=seconds / 60,
                settings={"source.held_out": 0.0},
                seed=seed,
                out=Path(folder) / "run",
            )
        took = time.process_time() - began
        model = Model.load(run.folder)
    audio = model.modalities["audio"]
    untrained = replace(model, learner=learner_of(model.experiment, model.modalities, model.facts))
    packed = [audio.pack(audio.read(cell, Path())) for cell in data.cells]
    features = {
        "raw": np.concatenate([audio.raw(audio.collate([one])).numpy() for one in packed]),
        "untrained": embedded(untrained, packed),
        "learned": embedded(model, packed),
    }
    features["raw + learned"] = np.hstack([features["raw"], StandardScaler().fit(features["learned"][train]).transform(
        features["learned"])])  # fmt: skip
    return features, took


def embedded(model: Model, packed: Sequence[np.ndarray]) -> np.ndarray:
    """Embeddings of packed clips, of length one, averaged over windows."""
    model.learner.eval()
    audio = model.modalities["audio"]
    found = []
    for start in range(0, len(packed), 64):
        windows = audio.windows(audio.collate(packed[start : start + 64]))
        found.append(np.mean([model.embed_views("audio", window).numpy() for window in windows], 0))
    return np.concatenate(found)


def probe(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> np.ndarray:
    """Which test rows logistic regression names; its penalty is chosen on a fifth of the training rows."""
    scale = StandardScaler().fit(x)
    x, x_test = scale.transform(x), scale.transform(x_test)
    fit, held = train_test_split(np.arange(len(y)), test_size=0.2, random_state=0, stratify=y)
    scores = [LogisticRegression(C=c, max_iter=100).fit(x[fit], y[fit]).score(x[held], y[held]) for c in PENALTIES]
    best = PENALTIES[int(np.argmax(scores))]
    return LogisticRegression(C=best, max_iter=200).fit(x, y).predict(x_test) == y_test


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: accuracy per split and contestant, and the paired gain over raw features with its interval.

    Args:
        rows: Name of a split -> what `play` returned for its parts (folds, seeds), which count together.
    """
    lines = [
        "| split | " + " | ".join(CONTESTANTS) + " | learned - raw | raw + learned - raw | seconds |",
        "|---" * (len(CONTESTANTS) + 4) + "|",
    ]
    for name, parts in rows.items():
        right = {one: np.concatenate([part["right"][one] for part in parts]).astype(float) for one in CONTESTANTS}
        numbers = [f"{right[one].mean():.3f}".lstrip("0") for one in CONTESTANTS]
        gains = [interval(right[one] - right["raw"]) for one in ("learned", "raw + learned")]
        seconds = np.mean([part["seconds"] for part in parts])
        lines.append("| " + " | ".join([name, *numbers, *gains, f"{seconds:.0f}"]) + " |")
    return "\n".join(lines)


def interval(gains: np.ndarray) -> str:
    """Mean over clips with a 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    draws = np.array([rng.choice(gains, len(gains)).mean() for _ in range(DRAWS)])
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{gains.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
