"""How well scores find labelled anomalies: areas under two curves, over all thresholds.

Axis letters: M scored rows or instants.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detection:
    """Agreement of scores with labels.

    Attributes:
        auroc: Probability that an anomaly scores above a normal one; ties count half. Chance is .5.
        auprc: Average precision; chance is `share`.
        share: Share of anomalies.
        count: Number of scored rows or instants with a label.
    """

    auroc: float
    auprc: float
    share: float
    count: int


def detection(scores: np.ndarray, anomalous: np.ndarray) -> Detection | None:
    """Area under the ROC and the precision-recall curve.

    Scores that are NaN are left out. Each instant counts for itself: the point-adjusted F1, common for such data, takes
    a whole anomaly for found if any instant of it is, which random scores reach too.

    Args:
        scores: (M,), higher for anomalies.
        anomalous: (M,) bool, or numbers above 0 for anomalies; NaN if unknown.

    Returns:
        The areas; None if there is no anomaly, or nothing else.

    Equation:
        AUROC = P(s_anomaly > s_normal) + 1/2 P(s_anomaly = s_normal);  AUPRC = sum_n (R_n - R_{n-1}) P_n

    Reference:
        On point adjustment: Kim et al., "Towards a rigorous evaluation of time-series anomaly detection", AAAI 2022,
        arXiv:2109.05257.

    Example:
        >>> detection(np.array([0.1, 0.9, 0.2]), np.array([0, 1, 0])).auroc
        1.0
    """
    known = np.isfinite(scores) & np.isfinite(anomalous)
    s, positive = scores[known], anomalous[known] > 0
    hits = int(positive.sum())
    if not 0 < hits < len(s):
        return None
    levels, at, counts = np.unique(s, return_inverse=True, return_counts=True)
    found = np.bincount(at, positive, len(levels))  # anomalies per distinct score
    middle = counts.cumsum() - (counts - 1) / 2  # mean rank of a tie
    auroc = ((found * middle).sum() - hits * (hits + 1) / 2) / (hits * (len(s) - hits))
    found, counts = found[::-1], counts[::-1]
    precision = found.cumsum() / counts.cumsum()
    return Detection(float(auroc), float((found * precision).sum() / hits), hits / len(s), len(s))
