"""Linear: the accuracy of a linear probe, fitted on train rows, on the test rows."""

import warnings
from typing import Any

import numpy as np

from kontrast.core.bank import Bank
from kontrast.scoring.accuracy import accuracy, labelled
from kontrast.scoring.evidence import Evidence
from kontrast.scoring.score import Score
from kontrast.scoring.spaces import unlearnable

FOLDS, SMALL, ENOUGH = 5, 1000, 5000


class Linear(Score):
    """Multinomial logistic regression on standardised embeddings: how much of the label one matrix can read out.

    The inverse strength C of the ridge is the best of `strengths` on held-out TRAIN rows (accuracy, then
    log-likelihood, then the smaller C): 5 folds up to 1,000 rows, one split of 5,000 rows above. The test rows are
    seen once, at the end. Chance: always saying the largest train class.
    """

    place = 30

    def __init__(
        self, *, strengths: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0), iterations: int = 300
    ) -> None:
        self.strengths, self.iterations = tuple(sorted(strengths)), iterations

    def why_not(self, train: Bank, test: Bank) -> str | None:
        """No labels, or one class only."""
        return unlearnable(train, test)

    def __call__(self, train: Bank, test: Bank) -> dict[str, Evidence]:
        """Name -> whether each labelled test row is named rightly."""
        found = {}
        for learned, asked, labels in labelled(train, test) if self.why_not(train, test) is None else ():
            centre = learned.z.mean(axis=0)
            scale = learned.z.std(axis=0)
            scale[scale < 1e-6] = 1  # a column that says nothing stays near zero
            x, y = (learned.z - centre) / scale, np.searchsorted(labels, learned.labels)
            guess = self._fit(x, y, self._strength(x, y)).predict((asked.z - centre) / scale)
            found[asked.named("linear accuracy")] = accuracy(learned, asked, labels[guess] == asked.labels)
        return found

    def _strength(self, x: np.ndarray, y: np.ndarray) -> float:
        """The C that does best on train rows it was not fitted on; the middle one where no class has two rows."""
        x, y = x[:ENOUGH], y[:ENOUGH]
        fold = folds(y)
        tried = [f for f in range(FOLDS if len(y) <= SMALL else 1) if (fold == f).any()]
        if not tried:
            return self.strengths[len(self.strengths) // 2]
        merit = np.zeros((len(self.strengths), 2))
        for f in tried:
            seen, x_held, y_held = fold != f, x[fold == f], y[fold == f]
            for i, strength in enumerate(self.strengths):
                model = self._fit(x[seen], y[seen], strength)
                chances = model.predict_proba(x_held)
                column = np.searchsorted(model.classes_, y_held)
                merit[i] += (
                    (model.predict(x_held) == y_held).sum(),
                    np.log(np.maximum(chances[np.arange(len(y_held)), column], 1e-9)).sum(),
                )
        return self.strengths[max(range(len(merit)), key=lambda i: (*merit[i], -i))]

    def _fit(self, x: np.ndarray, y: np.ndarray, strength: float) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():
            # Iterations are bounded on purpose: at the weakest ridge the last digits of the weights change no class.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return LogisticRegression(C=strength, max_iter=self.iterations).fit(x, y)


def folds(y: np.ndarray) -> np.ndarray:
    """(N,) the fold each row is held out in, every class dealt out in turn; -1 (never) for the only row of a class."""
    fold = np.empty(len(y), int)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        fold[rows] = np.arange(len(rows)) % FOLDS if len(rows) > 1 else -1
    return fold
