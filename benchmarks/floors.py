"""What every recipe reaches on real data: kNN and linear probe with intervals, beside untrained and raw features.

    python -m benchmarks.floors --data FOLDER --steps 300
    python -m benchmarks.floors --data FOLDER --recipes supcon triplet --sets SwedishLeaf
    python -m benchmarks.floors --data FOLDER --recipes supcon --sets cifar10 --keep runs/floors
    python -m benchmarks.floors --data FOLDER --sets cifar10 --recipes distillation --set tasks.contrast.teacher=RUN

Sets: `cifar10` (2,000 pictures of 32 px, re-encoded as JPEG, and 1,000 to test), `SwedishLeaf` and `TwoPatterns` (UCR
series), `trec` (questions by what they ask for), `watch` (series of ten subjects, who are the sensitive attribute),
`ages` (UCR outlines of bones, whose age group is a number). A recipe plays on the sets that have what it needs. Steps,
not minutes: a busy machine changes no score.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import kontrast as kt
from kontrast.cli.app import pairs, value
from kontrast.core import registry
from kontrast.core.errors import UserError

Table = dict[str, Any]
# Data of their own, or several fields: not for these sets.
PREFERENCE = ("bradley_terry", "bpr", "dpo", "simpo", "cpl", "click")  # benchmarks/preferences.py
ELSEWHERE = ("emoji", "clip", "coca", "cosent", "angle", "simcse_supervised", *PREFERENCE)


@dataclass(frozen=True)
class Set:
    """A table with a split, and what its columns are."""

    load: Callable[[Path], Table]
    fields: dict[str, str]
    recipes: tuple[str, ...] = ()
    """These alone; all that the fields allow if empty."""


def cifar10(data: Path) -> Table:
    """2,000 training pictures, 1,000 to test."""
    import io

    from PIL import Image

    columns: Table = {"image": [], "label": [], "split": []}
    for part, most in (("train", 2000), ("test", 1000)):
        with np.load(next((data / "cifar10").glob(f"*_{part}_*.npz"))) as packed:
            blob, off, y, classes = (packed[name] for name in ("blob", "off", "y", "classes"))
        some = np.random.default_rng(0).permutation(len(y))[:most]  # the file is in the order of its classes
        for n in some:
            columns["image"].append(
                np.asarray(Image.open(io.BytesIO(blob[off[n] : off[n + 1]].tobytes())).convert("RGB"))
            )
        columns["label"] += [str(classes[c]) for c in y[some]]
        columns["split"] += [part] * most
    return {**columns, "image": np.stack(columns["image"])}


def ucr(name: str, target: str = "label") -> Callable[[Path], Table]:
    """A UCR set with its own split."""

    def load(data: Path) -> Table:
        with np.load(data / "ucr" / f"{name}.npz") as packed:
            x = np.concatenate([packed["X_train"], packed["X_test"]])
            y = np.concatenate([packed["y_train"], packed["y_test"]])
            split = np.repeat(["train", "test"], [len(packed["y_train"]), len(packed["y_test"])])
        found = {"series": x, "label": y, "split": split}
        return found if target == "label" else {**found, target: y.astype(float)}

    return load


def trec(data: Path) -> Table:
    """2,000 training questions and the test set of TREC."""
    rows = []
    for part, most in (("train", 2000), ("test", 500)):
        lines = (data / "text" / "cls" / f"trec_{part}.jsonl").read_text(encoding="utf8").splitlines()[:most]
        rows += [{**json.loads(line), "split": part} for line in lines]
    text = next(name for name, cell in rows[0].items() if isinstance(cell, str) and " " in cell)
    label = next(name for name in rows[0] if name not in (text, "split"))
    return {
        "text": [r[text] for r in rows],
        "label": [str(r[label]) for r in rows],
        "split": [r["split"] for r in rows],
    }


def watch(data: Path) -> Table:
    """Series of ten subjects; every fourth is held out."""
    with np.load(data / "watch" / "watch.npz") as packed:
        x, off = packed["X"], packed["off"]
        series = [x[a:b].T for a, b in itertools.pairwise(off)]
        split = np.where(np.arange(len(series)) % 4 == 0, "test", "train")
        return {"series": series, "label": packed["y"], "subject": packed["subject"].astype(str), "split": split}


LABELLED = {"label": "label", "split": "split"}
SETS = {
    "cifar10": Set(cifar10, {"image": "image", **LABELLED}),
    "SwedishLeaf": Set(ucr("SwedishLeaf"), {"series": "series", **LABELLED}),
    "trec": Set(trec, {"text": "text", **LABELLED}),
    "watch": Set(watch, {"series": "series", "subject": "sensitive", **LABELLED}, ("supcon", "fscl")),
    "ages": Set(
        ucr("ProximalPhalanxOutlineAgeGroup", "age"),
        {"series": "series", "age": "number", **LABELLED},
        ("simclr", "rnc", "regression"),
    ),
}


def main() -> None:
    """Train, judge, print a table in markdown."""
    told = _arguments()
    recipes = told.recipes or [name for name in registry.kinds("recipes") if name not in ELSEWHERE]
    print("| set | recipe | kNN | untrained | raw | linear | untrained | raw | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in told.sets or SETS:
        held = SETS[name]
        table = held.load(told.data)
        for recipe in [r for r in recipes if not held.recipes or r in held.recipes]:
            _row(name, recipe, table, held.fields, told)


def _row(name: str, recipe: str, table: Table, fields: dict[str, str], told: argparse.Namespace) -> None:
    settings = {"plan.evaluation_rows": 5000, **({"plan.batch": told.batch} if told.batch else {})}
    settings |= pairs(told.set, "--set", value)
    with tempfile.TemporaryDirectory() as folder:
        out, began = told.keep / f"{name}-{recipe}" if told.keep else Path(folder) / "run", time.process_time()
        try:
            run = kt.train(
                table, recipe=recipe, fields=fields, steps=told.steps, settings=settings, seed=told.seed, out=out
            )
        except UserError as lacking:  # a number, a sensitive attribute that this set has not
            print(f"{name}, {recipe}: {lacking}", file=sys.stderr)
            return
        cells = [_cell(run.scores, measure) for measure in ("kNN accuracy", "linear accuracy")]
    print(f"| {name} | {recipe} | {' | '.join(cells)} | {time.process_time() - began:.0f} |", flush=True)


def _cell(scores: list[dict[str, Any]], measure: str) -> str:
    found = [row for row in scores if row["name"].startswith(measure.split()[0]) and row["trained"]]
    if not found:
        return "- | - | -"
    row = found[0]
    trained = row["trained"]
    interval = "" if trained["low"] is None else f" [{trained['low']:.3f}, {trained['high']:.3f}]"
    beside = [f"{row[which]['value']:.3f}" if row[which] else "-" for which in ("untrained", "raw")]
    return f"{trained['value']:.3f}{interval} | {' | '.join(beside)}"


def _arguments() -> argparse.Namespace:
    asked = argparse.ArgumentParser(
        prog="benchmarks.floors", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--sets", nargs="*", choices=list(SETS), default=[])
    asked.add_argument("--recipes", nargs="*", default=[])
    asked.add_argument("--steps", type=int, default=300)
    asked.add_argument("--batch", type=int, default=256)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--set", nargs="*", default=[], help="further settings, NAME=VALUE")
    asked.add_argument("--keep", type=Path, help="folder for the runs; thrown away without it")
    return asked.parse_args()


if __name__ == "__main__":
    main()
