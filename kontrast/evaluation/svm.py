"""Accuracy of a support vector machine with a Gaussian (RBF) kernel, fitted on train rows, on the test rows."""

import warnings
from collections.abc import Callable
from typing import Annotated

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.factory import WHOLE, Range
from kontrast.evaluation.accuracy import accuracy, labelled
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.linear import FOLDS, folds
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import unlearnable

SEARCHED = 5000  # train rows that choose C: their kernel is held whole, 200 MB
FEW_ROWS, FEW_EACH = 50, 5  # below these nothing is chosen, as in the papers' codes


class SVM(Evaluator):
    """Accuracy of a support vector machine with a Gaussian kernel: the classification head of T-Loss and TS2Vec.

    Take it to compare with papers on time series. Like theirs, it takes embeddings as they are, without
    standardisation, and sets the width of the kernel by their variance. C, the penalty of a row on the wrong side, is
    chosen on held-out TRAIN rows by 5-fold accuracy, of equal ones the smallest. With fewer than 50 train rows, or
    fewer than 5 per class on average, the largest C is taken. Embeddings have length 1 here and not in the papers.
    Whole rows only. Chance: always predicting the largest train class.

    Args:
        strengths: Candidates for C, each 1e-9 to 1e9. Default 0.0001 to 10,000 in steps of ten; the papers also try
            infinity, with which a fit does not end if classes overlap.
        rows: At most this many train rows, 2 to 1,000,000. Default 10,000, as in TS2Vec. 5,000 of them choose C.
        iterations: At most this many steps of the solver per fit, at least 1. Default 100,000.

    Returns:
        `SVM accuracy` of whole rows.

    Equation:
        k(x, y) = exp(-|x - y|^2 / (D v)), v the variance of all numbers of the train rows, D the width

    Reference:
        Franceschi, Dieuleveut, Jaggi 2019, arXiv:1901.10738, section 5; Yue et al. 2022, arXiv:2106.10466, appendix.

    Example:
        >>> z = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
        >>> table = EmbeddingTable({"x": z}, np.array(list("abcd")), np.array(["cat", "cat", "dog", "dog"]))
        >>> SVM()(table, table)["SVM accuracy"].value
        1.0
    """

    place = 35
    usual = False

    def __init__(
        self,
        *,
        strengths: tuple[Annotated[float, Range(1e-9, 1e9)], ...] = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4),
        rows: Annotated[int, Range(2, 1_000_000)] = 10_000,
        iterations: Annotated[int, Range(1, WHOLE)] = 100_000,
    ) -> None:
        self.strengths, self.rows, self.iterations = tuple(sorted(strengths)), rows, iterations

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if labels are missing or there is only one class."""
        return unlearnable(train, test)

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Accuracy by name, with one entry per labelled test row."""
        found = {}
        for learned, asked, labels in labelled(train, test) if self.why_not(train, test) is None else ():
            if learned.field is None:
                guess = self.fitted(learned.z, np.searchsorted(labels, learned.labels))(asked.z)
                found[asked.named("SVM accuracy")] = accuracy(learned, asked, labels[guess] == asked.labels)
        return found

    def fitted(self, z: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Fits the machine.

        Args:
            z: (N, D) embeddings.
            y: (N,) class codes.

        Returns:
            What gives the codes (M,) of embeddings (M, D).
        """
        z, y = z[: self.rows], y[: self.rows]
        if len(np.unique(y)) < 2:
            return lambda asked: np.full(len(asked), y[0])
        return self._machine(z, y, self.strength(z, y), kernel="rbf", gamma=width(z))

    def strength(self, z: np.ndarray, y: np.ndarray) -> float:
        """C with the most rows right in 5 folds, of equal ones the smallest."""
        if len(y) < FEW_ROWS or len(y) / len(np.unique(y)) < FEW_EACH:
            return self.strengths[-1]
        z, y = z[:SEARCHED].astype(np.float64), y[:SEARCHED]
        fold, square = folds(y), (z**2).sum(1)
        far = (square[:, None] + square - 2 * z @ z.T).clip(0)
        right = np.zeros(len(self.strengths), int)
        for f in range(FOLDS):
            seen, held = fold != f, fold == f
            if held.any() and len(np.unique(y[seen])) > 1:
                near = np.exp(far[:, seen] * -width(z[seen]))
                for k, strength in enumerate(self.strengths):
                    guess = self._machine(near[seen], y[seen], strength, kernel="precomputed", gamma="scale")
                    right[k] += (guess(near[held]) == y[held]).sum()
        return self.strengths[int(right.argmax())]

    def _machine(
        self, x: np.ndarray, y: np.ndarray, strength: float, *, kernel: str, gamma: float | str
    ) -> Callable[[np.ndarray], np.ndarray]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import SVC

        machine = SVC(C=strength, kernel=kernel, max_iter=self.iterations).set_params(gamma=gamma)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a C that large is no better than smaller ones
            return machine.fit(x, y).predict


def width(z: np.ndarray) -> float:
    """Factor of the squared distances: 1 / (D v), or 1 where all numbers are equal."""
    spread = float(z.var())
    return 1 / (z.shape[1] * spread) if spread > 0 else 1.0
