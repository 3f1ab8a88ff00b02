"""Whether intervals hold what they say: how often a 95 % interval covers the number's true value.

    python -m benchmarks.intervals --trials 200 --shapes 363 150 40 20

The truth is known here: many test banks are drawn from one population of synthetic embeddings (two looks at things of a
few classes), and the true value of a number is its mean over all of them. A right interval covers it in .95 of the
banks; of 200 banks that is told to within .03. `width` is the mean width over that of the right one.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.clustering import Clustering
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.geometry import Geometry
from kontrast.evaluation.intervals import find_all, interval
from kontrast.evaluation.knn import KNN
from kontrast.evaluation.retrieval import Retrieval

TRAIN = 400


@dataclass(frozen=True)
class Shape:
    """Rows of a test bank, classes, width of the embeddings, spread within a class, and noise of one look."""

    rows: int
    classes: int
    width: int
    within: float
    noise: float


SHAPES = {
    "363": Shape(363, 9, 16, 0.9, 0.55),
    "150": Shape(150, 4, 8, 1.2, 0.5),
    "40": Shape(40, 3, 8, 1.2, 0.5),
    "20": Shape(20, 3, 8, 1.2, 0.5),
    "60-classes": Shape(180, 60, 16, 0.5, 0.3),
    "nearly-perfect": Shape(100, 4, 16, 0.45, 0.22),
    "chance": Shape(150, 4, 8, 4.0, 8.0),
}


def drawn(rng: np.random.Generator, shape: Shape, rows: int) -> EmbeddingTable:
    labels = rng.integers(shape.classes, size=rows)
    centres = np.random.default_rng(99).normal(size=(shape.classes, shape.width))
    things = centres[labels] + shape.within * rng.normal(size=(rows, shape.width))
    looks = {name: things + shape.noise * rng.normal(size=things.shape) for name in ("a", "b")}
    z = {name: (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for name, x in looks.items()}
    return EmbeddingTable(z, np.arange(rows).astype(str), labels.astype(str), shared=True)


def covered(shape: Shape, trials: int) -> dict[str, tuple[float, float, float, float]]:
    """Of each number: its true value, how often the interval covers it, the width over the right one, and how often
    there is an interval."""
    train = drawn(np.random.default_rng(5), shape, TRAIN)
    scores: list[Evaluator] = [KNN(), Retrieval(), Clustering(), Geometry()]
    found: dict[str, list[tuple[float, float, float]]] = {}
    for trial in range(trials):
        test = drawn(np.random.default_rng([7, trial]), shape, shape.rows)
        for name, one in find_all(scores, train, test, seed=trial).items():
            if not name.startswith(("a ", "b ", "b>a ")):  # the other look and direction are the same by symmetry
                found.setdefault(name, []).append((one.evidence.value, *interval(one)))
    table = {}
    for name, rows in found.items():
        value, low, high = np.array(rows).T
        told, truth = np.isfinite(low), float(value.mean())
        cover = float(((low <= truth) & (truth <= high))[told].mean()) if told.any() else np.nan
        right = 2 * 1.96 * value.std()
        width = float((high - low)[told].mean() / right) if told.any() and right else np.nan
        table[name] = (truth, cover, width, float(told.mean()))
    return table


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--trials", type=int, default=200)
    asked.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    given = asked.parse_args()
    print("| rows | number | true value | covered | width | told |\n|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name in given.shapes:
            for number, (truth, cover, width, told) in covered(SHAPES[name], given.trials).items():
                print(f"| {name} | {number} | {truth:.3f} | {cover:.3f} | {width:.2f} | {told:.2f} |", flush=True)
    print(f"\n{given.trials} test banks a shape", file=sys.stderr)


if __name__ == "__main__":
    main()
