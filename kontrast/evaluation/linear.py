"""Linear: the accuracy of a linear probe, fitted on train rows, on the test rows."""

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
FINE, ROUGH = 1e-8, 1e-5  # a step that lowers the loss by a smaller share ends a fit; the choice of C needs less


class Linear(Evaluator):
    """Multinomial logistic regression on standardised embeddings: how much of the label one matrix can read out.

    The inverse strength C of the ridge is the best of `strengths` on held-out TRAIN rows (accuracy, then
    log-likelihood, then the smaller C): 5 folds up to 1,000 rows, one split of 5,000 rows above. The test rows are
    seen once, at the end. Whole rows only: a probe of each field would take longer than the training of a small run.
    Chance: always saying the largest train class.
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
        """No labels, or one class only."""
        return unlearnable(train, test)

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Name -> whether each labelled test row is named rightly."""
        found = {}
        for learned, asked, labels in labelled(train, test) if self.why_not(train, test) is None else ():
            if learned.field is not None:
                continue
            centre = learned.z.mean(axis=0)
            scale = learned.z.std(axis=0)
            scale[scale < 1e-6] = 1  # a column that says nothing stays near zero
            x, y = _tensor((learned.z - centre) / scale), torch.from_numpy(np.searchsorted(labels, learned.labels))
            strength, start = self._strength(x, y, len(labels))
            probe = fit(x, y, len(labels), strength, self.iterations, start)
            guess = probe(_tensor((asked.z - centre) / scale)).argmax(1)
            found[asked.named("linear accuracy")] = accuracy(learned, asked, labels[guess.numpy()] == asked.labels)
        return found

    def _strength(self, x: Tensor, y: Tensor, classes: int) -> tuple[float, np.ndarray | None]:
        """The C that does best on train rows it was not fitted on, and the weights found with it, to start from.

        The middle C if no class has two rows. Each fit starts where the one of the next smaller C ended, which takes
        half the steps; none is tried beyond one that is worse in both than the best before it.
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
                break  # past the best: a larger C overfits more, and takes the longest of all
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
    """argmin over W, b of sum CE(x W + b, y) + |W|^2 / (2 C), by L-BFGS from `start`, else from zero.

    scikit-learn's LogisticRegression minimises the same (a test holds the two together) and took 4 to 10 times as long
    on 2,500 columns, which is longer than a small run trains. torch's own L-BFGS took 3 times as long on 1,000 rows:
    its line search runs in Python.
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
    """(N,) the fold each row is held out in, every class dealt out in turn; -1 (never) for the only row of a class."""
    fold = np.empty(len(y), int)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        fold[rows] = np.arange(len(rows)) % FOLDS if len(rows) > 1 else -1
    return fold
