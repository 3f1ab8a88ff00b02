"""The one probe for all: scikit-learn's nearest neighbours and logistic regression on frozen features.

Nothing of kontrast is used here.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

NEIGHBOURS = 5
PENALTIES = (0.01, 0.1, 1.0)
CHOSEN_ON = 1_000
"""Training rows that the penalty is chosen on, by a fifth of them held out."""


def unit(z: np.ndarray) -> np.ndarray:
    """Rows of length one; a row of zeros stays."""
    z = np.nan_to_num(np.asarray(z, np.float64))
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)


def labelled(train: np.ndarray, y: np.ndarray, test: np.ndarray, answers: np.ndarray) -> dict[str, np.ndarray]:
    """Of each test row whether it is named rightly: by its nearest training rows, and by a logistic regression."""
    near = KNeighborsClassifier(min(NEIGHBOURS, len(y)), weights="distance", metric="euclidean")
    knn = near.fit(unit(train), y).predict(unit(test)) == answers
    scale = StandardScaler().fit(np.nan_to_num(train))
    x, x_test = (scale.transform(np.nan_to_num(z)) for z in (train, test))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        linear = _regression(x, y).predict(x_test) == answers
    return {"kNN": knn.astype(float), "linear": linear.astype(float)}


def matched(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Of each test row how often its partner is the nearest, and among the ten nearest; the mean of both directions."""
    a, b = unit(a), unit(b)
    own = np.arange(len(a))[:, None]
    hits = []
    for asked, bank in ((a, b), (b, a)):
        order = NearestNeighbors(n_neighbors=min(10, len(bank))).fit(bank).kneighbors(asked, return_distance=False)
        hits.append(order == own)
    first = np.mean([h[:, 0] for h in hits], axis=0)
    return {"R@1": first, "R@10": np.mean([h.any(1) for h in hits], axis=0)}


def _regression(x: np.ndarray, y: np.ndarray) -> LogisticRegression:
    """With the penalty that names most of a held-out fifth of the training rows rightly; the strongest such one."""
    some = np.random.default_rng(0).permutation(len(y))[:CHOSEN_ON]
    classes, counts = np.unique(y[some], return_counts=True)
    penalty = 1.0
    if counts.min() >= 2 and len(some) >= 5 * len(classes):
        fit, held = train_test_split(some, test_size=0.2, random_state=0, stratify=y[some])
        right = [LogisticRegression(C=c, max_iter=50).fit(x[fit], y[fit]).score(x[held], y[held]) for c in PENALTIES]
        penalty = PENALTIES[int(np.argmax(right))]
    return LogisticRegression(C=penalty, max_iter=100).fit(x, y)
