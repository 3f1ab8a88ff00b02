"""Linear: the accuracy of a linear probe, fitted on train rows, on the test rows."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.bank import Bank
from kontrast.core.find import Within
from kontrast.scoring.accuracy import accuracy, labelled
from kontrast.scoring.evidence import Evidence
from kontrast.scoring.score import Score
from kontrast.scoring.spaces import unlearnable

FOLDS, SMALL, ENOUGH = 5, 1000, 5000


class Linear(Score):
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
        strengths: tuple[Annotated[float, Within(1e-9, 1e9)], ...] = (1e-3, 1e-2, 0.1, 1.0),
        iterations: Annotated[int, Within(1, 100_000)] = 100,
    ) -> None:
        self.strengths, self.iterations = tuple(sorted(strengths)), iterations

    def why_not(self, train: Bank, test: Bank) -> str | None:
        """No labels, or one class only."""
        return unlearnable(train, test)

    def __call__(self, train: Bank, test: Bank) -> dict[str, Evidence]:
        """Name -> whether each labelled test row is named rightly."""
        found = {}
        for learned, asked, labels in labelled(train, test) if self.why_not(train, test) is None else ():
            if learned.field is not None:
                continue
            centre = learned.z.mean(axis=0)
            scale = learned.z.std(axis=0)
            scale[scale < 1e-6] = 1  # a column that says nothing stays near zero
            x, y = _tensor((learned.z - centre) / scale), torch.from_numpy(np.searchsorted(labels, learned.labels))
            guess = (
                fit(x, y, len(labels), self._strength(x, y), self.iterations)(_tensor((asked.z - centre) / scale))
            ).argmax(1)
            found[asked.named("linear accuracy")] = accuracy(learned, asked, labels[guess.numpy()] == asked.labels)
        return found

    def _strength(self, x: Tensor, y: Tensor) -> float:
        """The C that does best on train rows it was not fitted on; the middle one where no class has two rows."""
        x, y = x[:ENOUGH], y[:ENOUGH]
        fold = torch.from_numpy(folds(y.numpy()))
        tried = [f for f in range(FOLDS if len(y) <= SMALL else 1) if (fold == f).any()]
        if not tried:
            return self.strengths[len(self.strengths) // 2]
        merit = np.zeros((len(self.strengths), 2))
        for f in tried:
            seen, held = fold != f, fold == f
            for i, strength in enumerate(self.strengths):
                logits = fit(x[seen], y[seen], int(y.max()) + 1, strength, self.iterations)(x[held])
                likelihood = -F.cross_entropy(logits, y[held], reduction="sum")
                merit[i] += float((logits.argmax(1) == y[held]).sum()), float(likelihood)
        return self.strengths[max(range(len(merit)), key=lambda i: (*merit[i], -i))]


def fit(x: Tensor, y: Tensor, classes: int, strength: float, iterations: int) -> nn.Linear:
    """argmin over W, b of sum CE(x W + b, y) + |W|^2 / (2 C), by L-BFGS from zero.

    scikit-learn's LogisticRegression minimises the same (a test holds the two together) and took 4 to 10 times as long
    on 2,500 columns, which is longer than a small run trains.
    """
    layer = nn.Linear(x.shape[1], classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    solver = torch.optim.LBFGS(
        layer.parameters(),
        max_iter=iterations,
        tolerance_grad=1e-4,
        tolerance_change=1e-6,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(layer(x), y) + layer.weight.square().sum() / (2 * strength * len(x))
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(loss)  # pyright: ignore[reportArgumentType]
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
