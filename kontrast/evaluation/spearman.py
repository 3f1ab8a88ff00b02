"""Rank correlation between cosine similarities of pairs and their gold scores."""

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.unit_rows import unit
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.retrieval import pairs

FEWEST = 3  # pairs: any order of two correlates perfectly


class Spearman(Evaluator):
    """Rank correlation of the cosine similarity of a row's two fields with its gold score.

    The number that STS benchmarks report. Only test rows with a score and both fields count, and at least 3 of them are
    needed; training never uses their scores. Chance: 0.

    Returns:
        `Spearman`, or `one~other Spearman` per pair of fields if there are several.

    Equation:
        rho = Pearson(rank(cos(x_i, y_i)), rank(gold_i)), with tied values at the mean of their ranks

    Reference:
        Spearman, "The proof and measurement of association between two things", American Journal of Psychology 1904.

    Example:
        >>> from kontrast.core.embedding_table import EmbeddingTable
        >>> x, y = np.eye(2)[[0, 0, 0]], np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> table = EmbeddingTable({"a": x, "b": y}, np.array(list("pqr")), golds=np.array([5.0, 3.0, 1.0]))
        >>> round(Spearman()(table, table)["Spearman"].value, 3)
        1.0
    """

    place = 5

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if gold scores are missing or too few pairs have one."""
        if test.golds is None:
            return "no gold scores"
        enough = [pair for pair in pairs(test) if _known(test, *pair).sum() >= FEWEST]
        return None if enough else f"fewer than {FEWEST} pairs with a gold score"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Correlation by name, one per pair of fields with enough scored rows."""
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
    """Spearman's rank correlation of two series; 0 if either is constant."""
    x, y = (_ranks(values) for values in (one_N, two_N))
    x, y = x - x.mean(), y - y.mean()
    length = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / length) if length else 0.0


def _ranks(values_N: np.ndarray) -> np.ndarray:
    """(N,) ranks from 0; tied values get the mean of their ranks."""
    _, place, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]


def _known(test: EmbeddingTable, one: str, other: str) -> np.ndarray:
    assert test.golds is not None
    return np.isfinite(test.golds) & test.has(one) & test.has(other)
