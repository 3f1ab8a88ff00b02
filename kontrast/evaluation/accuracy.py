"""What classifiers share: the labelled rows they learn from and are asked about, and the share they name rightly."""

from collections.abc import Iterator

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import Space, spaces


def labelled(train: EmbeddingTable, test: EmbeddingTable) -> Iterator[tuple[Space, Space, np.ndarray]]:
    """Labelled rows of train and of test and the sorted train labels, for whole rows and each field that has enough."""
    asked_of = {space.field: space.labelled() for space in spaces(test)}
    for learned in (space.labelled() for space in spaces(train)):
        asked = asked_of[learned.field]
        labels = np.unique(learned.labels) if len(learned) else np.array([])
        if len(labels) > 1 and len(asked):
            yield learned, asked, labels


def accuracy(learned: Space, asked: Space, right_N: np.ndarray) -> MetricResult:
    """The share of test rows named rightly, beside that of always saying the largest train class."""
    labels, counts = np.unique(learned.labels, return_counts=True)
    chance = float((asked.labels == labels[counts.argmax()]).mean())
    return MetricResult.mean(right_N, alone=True, chance=chance, field=asked.field)
