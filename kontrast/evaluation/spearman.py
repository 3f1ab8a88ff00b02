"""Spearman: whether the cosines of scored pairs (two texts and how alike they are) are in the order of their scores."""

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.unit_rows import unit
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.retrieval import pairs

FEWEST = 3  # pairs: of two, any order is perfect


class Spearman(Evaluator):
    """The rank correlation of the cosine of a row's two fields with its gold score.

    Equation: the Pearson correlation of both sides' ranks; equal values share the mean of their ranks. It is what STS
    benchmarks report. Only test rows with a score and both fields count, and training never saw their scores.
    Chance: 0.
    """

    place = 5

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """No gold scores, or too few pairs that have one."""
        if test.golds is None:
            return "no gold scores"
        enough = [pair for pair in pairs(test) if _known(test, *pair).sum() >= FEWEST]
        return None if enough else f"fewer than {FEWEST} pairs with a gold score"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """`Spearman`, or `one~other Spearman` per pair of fields if there are several."""
        found = {}
        order = list(test.z)
        both = [pair for pair in pairs(test) if order.index(pair[0]) < order.index(pair[1])]
        for one, other in both if self.why_not(train, test) is None else ():
            known = _known(test, one, other)
            if known.sum() >= FEWEST:
                assert test.golds is not None
                cosines = (unit(test.z[one][known]) * unit(test.z[other][known])).sum(1)
                name = "Spearman" if len(both) == 1 else f"{one}~{other} Spearman"
                value = correlation(cosines, test.golds[known])
                found[name] = MetricResult(value, int(known.sum()), chance=0.0, bounds=(-1, 1), across=True)
        return found


def correlation(one_N: np.ndarray, two_N: np.ndarray) -> float:
    """Spearman's rho of two series; 0 where either is constant."""
    x, y = (_ranks(values) for values in (one_N, two_N))
    x, y = x - x.mean(), y - y.mean()
    length = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / length) if length else 0.0


def _ranks(values_N: np.ndarray) -> np.ndarray:
    """(N,) from 0; equal values get the mean of their places."""
    _, place, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]


def _known(test: EmbeddingTable, one: str, other: str) -> np.ndarray:
    assert test.golds is not None
    return np.isfinite(test.golds) & test.has(one) & test.has(other)
