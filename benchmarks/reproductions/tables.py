"""Tables: learned embeddings, raw columns and both under one linear probe, beside gradient boosting.

Sets are the *.csv.gz files of DATA/tabular, whose last column is the target. A quarter of the rows is the test. The
embedding learns from all other rows without labels; probe and boosting get 1 %, 10 % or 100 % of their labels.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import kontrast as kt
from benchmarks.league.ours import processor_time
from benchmarks.reproductions.reproduction import Reproduction
from kontrast.runs.build import learner_of
from kontrast.runs.model import Model

SHARES = (0.01, 0.1, 1.0)
DRAWS = 2  # of the labelled rows, where they are a part
FEWEST = 20  # labelled rows
PENALTIES = (0.01, 0.1, 1.0)
CHOSEN_ON = 1_000
VIEW = "plain columns"  # spambase has a column called table
CONTESTANTS = ("raw", "untrained", "learned", "raw + learned", "boosting")


class Tables(Reproduction):
    """Accuracy per set, share of labels and contestant, and mean gains over raw columns."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Sets, seconds, recipe and the largest number of rows."""
        parser.add_argument("--sets", nargs="*", help="names; default: all")
        parser.add_argument("--seconds", type=float, default=30, help="processor time per training")
        parser.add_argument("--recipe", help="default: the one that kontrast chooses")
        parser.add_argument("--rows", type=int, default=10_000, help="rows of a set at most, drawn once")

    def run(self, asked: argparse.Namespace) -> str:
        """Plays the sets that are not there yet."""
        files = {file.name.split(".")[0]: file for file in sorted((asked.data / "tabular").glob("*.csv.gz"))}
        cells = {}
        for name in asked.sets or files:
            kept = asked.out / f"{name}-{asked.recipe or 'default'}-{asked.seconds:g}.json"
            if not kept.is_file():
                kept.write_text(json.dumps(play(files[name], asked.seconds, asked.recipe, asked.rows)))
            cells[name] = json.loads(kept.read_text())
            print(name, *(" ".join(f"{value:.3f}" for value in row) for row in cells[name]["scores"]), sep=" | ")
        return table(cells)


def play(file: Path, seconds: float, recipe: str | None, most: int) -> dict[str, Any]:
    """Trains on a set; returns accuracies by share and contestant, and what training took."""
    frame = pd.read_csv(file)
    frame = frame.sample(most, random_state=0) if len(frame) > most else frame
    labels = frame.pop("target").astype(str).to_numpy()
    train, test = map(np.asarray, train_test_split(np.arange(len(frame)), test_size=0.25, random_state=0))
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        with processor_time():
            run = kt.train(
                frame.iloc[train],
                recipe=recipe,
                fields={**dict.fromkeys(frame.columns, "meta"), VIEW: "table"},  # no column is taken for the label
                minutes=seconds / 60,
                settings={"source.held_out": 0.0},
                out=Path(folder) / "run",
            )
        took = time.process_time() - began
        model = Model.load(run.folder)
        untrained = replace(model, learner=learner_of(model.experiment, model.modalities, model.facts))
        read = [model.modalities[VIEW].read(cell, Path()) for cell in cells(frame)]
        batch = model.modalities[VIEW].collate([model.modalities[VIEW].pack(item) for item in read])
        features = {
            "raw": model.modalities[VIEW].raw(batch).numpy(),
            "untrained": embedded(untrained, batch),
            "learned": embedded(model, batch),
        }
    features["raw + learned"] = np.hstack([scaled(features[name], train) for name in ("raw", "learned")])
    return {"scores": scores(features, frame, labels, train, test), "seconds": took, "rows": len(frame)}


def cells(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as records, None where missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def embedded(model: Model, batch: Any) -> np.ndarray:
    """Embeddings of packed rows, of length one."""
    model.learner.eval()
    seen = model.modalities[VIEW].preprocess
    return np.concatenate([model.embed_views(VIEW, seen(part)).numpy() for part in batch.split(1024)])


def scaled(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Standard units of the training rows."""
    return np.asarray(StandardScaler().fit(x[train]).transform(x))


def scores(
    features: dict[str, np.ndarray], frame: pd.DataFrame, labels: np.ndarray, train: np.ndarray, test: np.ndarray
) -> list[list[float]]:
    """Accuracy per share and contestant, mean over the draws of labelled rows."""
    columns = frame.astype({name: "category" for name, kind in frame.dtypes.items() if kind.kind not in "biuf"})
    found = []
    for share in SHARES:
        number = max(FEWEST, round(share * len(train)))
        parts = []
        for draw in range(1 if number >= len(train) else DRAWS):
            few = np.random.default_rng(draw).permutation(train)[:number]
            row = [probe(x[few], labels[few], x[test], labels[test]) for x in features.values()]
            parts.append([*row, boosted(columns.iloc[few], labels[few], columns.iloc[test], labels[test])])
        found.append(np.mean(parts, 0).tolist())
    return found


def probe(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> float:
    """Logistic regression on standard units; its penalty is chosen on a fifth of the labelled rows."""
    scale = StandardScaler().fit(x)
    x, x_test = np.asarray(scale.transform(x)), np.asarray(scale.transform(x_test))
    if len(set(y)) < 2:
        return float((y_test == y[0]).mean())
    some, right = np.arange(len(y))[:CHOSEN_ON], []
    fit, held = train_test_split(some, test_size=0.2, random_state=0)
    for penalty in PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=100)
        right.append(model.fit(x[fit], y[fit]).score(x[held], y[held]) if len(set(y[fit])) > 1 else 0.0)
    best = PENALTIES[int(np.argmax(right))]
    return float(LogisticRegression(C=best, max_iter=200).fit(x, y).score(x_test, y_test))


def boosted(x: pd.DataFrame, y: np.ndarray, x_test: pd.DataFrame, y_test: np.ndarray) -> float:
    """Histogram gradient boosting with its defaults, categories as such."""
    if len(set(y)) < 2:
        return float((y_test == y[0]).mean())
    known = {name: pd.CategoricalDtype(x[name].dropna().unique()[:250]) for name in x if x[name].dtype == "category"}
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    return float(model.fit(x.astype(known), y).score(x_test.astype(known), y_test))


def interval(gains: np.ndarray) -> str:
    """Mean over sets with a 95 % bootstrap interval."""
    draws = np.random.default_rng(0).choice(gains, (10_000, len(gains))).mean(1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{gains.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def table(cells: dict[str, Any]) -> str:
    """Markdown: a row per set, its contestants side by side in their order; then the mean gains over raw columns."""
    lines = [f"Accuracy of {' · '.join(CONTESTANTS)}:", "", "| set | 1 % | 10 % | 100 % |", "|---|---|---|---|"]
    for name, cell in cells.items():
        numbers = [" · ".join(f"{value:.3f}".removeprefix("0") for value in row) for row in cell["scores"]]
        lines.append(f"| {name} | " + " | ".join(numbers) + " |")
    every = np.array([cell["scores"] for cell in cells.values()])
    lines += ["", f"| gain over raw columns, {len(cells)} sets | 1 % | 10 % | 100 % |", "|---|---|---|---|"]
    for at, name in enumerate(CONTESTANTS[1:], 1):
        gains = [interval(every[:, share, at] - every[:, share, 0]) for share in range(len(SHARES))]
        lines.append(f"| {name} | " + " | ".join(gains) + " |")
    return "\n".join(lines)
