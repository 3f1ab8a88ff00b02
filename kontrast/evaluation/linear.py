"""Accuracy of a linear probe, fitted on train rows, on the test rows."""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.factory import Range
from kontrast.evaluation.accuracy import accuracy, labelled
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import unlearnable

FOLDS, SMALL, ENOUGH = 5, 1000, 5000
FINE, ROUGH = 1e-8, 1e-5  # relative decrease of the loss that ends a fit; choosing C needs less


class Linear(Evaluator):
    """Accuracy of multinomial logistic regression on standardised embeddings: linear readout of the label.

    The inverse strength C of the L2 penalty is chosen on held-out TRAIN rows by accuracy, then log-likelihood, then the
    smaller C: 5 folds up to 1,000 rows, above that one split of at most 5,000 rows. Test rows are used once, at the
    end.
    Whole rows only, since a probe per field would take longer than a small training run. Chance: always predicting the
    largest train class.

    Args:
        strengths: Candidates for C, each 1e-9 to 1e9. Default 0.001, 0.01, 0.1 and 1.
        iterations: At most this many L-BFGS iterations per fit, 1 to 100,000. Default 100.

    Returns:
        `linear accuracy` of whole rows.

    Equation:
        min_{W, b} sum_i CE(x_i W + b, y_i) + |W|^2 / (2 C)

    Reference:
        Alain, Bengio, "Understanding intermediate layers using linear classifier probes", 2016, arXiv:1610.01644.

    Example:
        >>> import numpy as np
        >>> from kontrast.core.embedding_table import EmbeddingTable
        >>> z = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
        >>> table = EmbeddingTable({"x": z}, np.array(list("abcd")), np.array(["cat", "cat", "dog", "dog"]))
        >>> Linear()(table, table)["linear accuracy"].value
        1.0
    """

    place = 30

    def __init__(
        self,
        *,
        strengths: tuple[Annotated[float, Range(1e-9, 1e9)], ...] = (1e-3, 1e-2, 0.1, 1.0),
        iterations: Annotated[int, Range(1, 100_000)] = 100,
    ) -> None:
        self.strengths, self.iterations = tuple(sorted(strengths)), iterations

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if labels are missing or there is only one class."""
        return unlearnable(train, test)

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Accuracy by name, with one entry per labelled test row."""
        found = {}
        for learned, asked, labels in labelled(train, test) if self.why_not(train, test) is None else ():
            if learned.field is not None:
                continue
            scores = self.fitted(learned.z, np.searchsorted(labels, learned.labels), len(labels))
            guess = scores(asked.z).argmax(1)
            found[asked.named("linear accuracy")] = accuracy(learned, asked, labels[guess.numpy()] == asked.labels)
        return found

    def fitted(self, z: np.ndarray, y: np.ndarray, classes: int) -> Callable[[np.ndarray], Tensor]:
        """Fits the probe.

        Args:
            z: (N, D) embeddings.
            y: (N,) class codes, from 0.
            classes: Number of classes.

        Returns:
            What gives the scores (M, classes) of embeddings (M, D), whose softmax are probabilities.
        """
        centre, scale = z.mean(axis=0), z.std(axis=0)
        scale[scale < 1e-6] = 1  # a constant column stays near zero
        x, codes = _tensor((z - centre) / scale), torch.from_numpy(y)
        strength, start = self._strength(x, codes, classes)
        probe = fit(x, codes, classes, strength, self.iterations, start)
        return lambda asked: probe(_tensor((asked - centre) / scale))

    def _strength(self, x: Tensor, y: Tensor, classes: int) -> tuple[float, np.ndarray | None]:
        """Best C on held-out train rows, and its weights to start the final fit.

        The middle C if no class has two rows. Each fit starts from the result of the next smaller C, which halves the
        iterations; the search stops at a C that is worse in both criteria than the best so far.
        """
        x, y = x[:ENOUGH], y[:ENOUGH]
        fold = torch.from_numpy(folds(y.numpy()))
        tried = [f for f in range(FOLDS if len(y) <= SMALL else 1) if (fold == f).any()]
        if not tried:
            return self.strengths[len(self.strengths) // 2], None
        merit: list[tuple[float, float]] = []
        starts: dict[int, np.ndarray] = {}
        found: list[np.ndarray] = []
        for strength in self.strengths:
            rightly, likelihood = 0.0, 0.0
            for f in tried:
                seen, held = fold != f, fold == f
                probe = fit(x[seen], y[seen], classes, strength, self.iterations, starts.get(f), ROUGH)
                starts[f] = torch.cat([probe.weight, probe.bias[:, None]], 1).numpy().ravel()
                logits = probe(x[held])
                rightly += float((logits.argmax(1) == y[held]).sum())
                likelihood -= float(F.cross_entropy(logits, y[held], reduction="sum"))
            merit.append((rightly, likelihood))
            found.append(starts[tried[-1]])
            if all(now < most for now, most in zip(merit[-1], max(merit), strict=True)):
                break  # a larger C overfits more and takes longest to fit
        best = max(range(len(merit)), key=lambda i: (*merit[i], -i))
        return self.strengths[best], found[best]


def fit(
    x: Tensor,
    y: Tensor,
    classes: int,
    strength: float,
    iterations: int,
    start: np.ndarray | None = None,
    tolerance: float = FINE,
) -> nn.Linear:
    """Fits a linear layer by L-BFGS with cross-entropy and an L2 penalty.

    scikit-learn's LogisticRegression minimises the same (a test compares the two) but takes 4 to 10 times as long on
    2,500 columns, which is longer than a small training run. torch's L-BFGS takes 3 times as long on 1,000 rows,
    because
    its line search runs in Python.

    Args:
        x: (N, D) float32 standardised embeddings.
        y: (N,) class codes.
        classes: Number of classes.
        strength: C, the inverse strength of the penalty.
        iterations: At most this many iterations.
        start: Flat weights and biases to start from; None for zeros.
        tolerance: Relative decrease of the loss below which the fit ends.

    Returns:
        Linear layer from D to `classes`, frozen.

    Equation:
        min_{W, b} sum CE(x W + b, y) + |W|^2 / (2 C)
    """
    from scipy.optimize import minimize

    x_ND, code = x.numpy(), y.numpy()
    n, width = x_ND.shape
    rows = np.arange(n)

    def slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(classes, width + 1)
        w_CD = np.ascontiguousarray(w[:, :-1], np.float32)
        logits = (x_ND @ w_CD.T).astype(np.float64) + w[:, -1]
        logits -= logits.max(1, keepdims=True)
        p = np.exp(logits)
        total = p.sum(1, keepdims=True)
        loss = float(np.mean(np.log(total[:, 0]) - logits[rows, code]))
        p /= total
        p[rows, code] -= 1
        p /= n
        g = np.empty_like(w)
        g[:, :-1] = p.astype(np.float32).T @ x_ND + w[:, :-1] / (strength * n)
        g[:, -1] = p.sum(0)
        return loss + float((w[:, :-1] ** 2).sum()) / (2 * strength * n), g.ravel()

    zero = np.zeros(classes * (width + 1)) if start is None else start.astype(np.float64)
    options = {"maxiter": iterations, "maxcor": 10, "gtol": 1e-4, "ftol": tolerance}
    found = minimize(slope, zero, jac=True, method="L-BFGS-B", options=options).x.reshape(classes, width + 1)
    layer = nn.Linear(width, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(found[:, :-1]))
        layer.bias.copy_(torch.from_numpy(found[:, -1]))
    return layer.requires_grad_(False)


def _tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, np.float32))


def folds(y: np.ndarray) -> np.ndarray:
    """(N,) fold of each row, balanced per class; -1 for a class's only row."""
    fold = np.empty(len(y), int)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        fold[rows] = np.arange(len(rows)) % FOLDS if len(rows) > 1 else -1
    return fold
