"""Shared parts of the classifiers: labelled rows of both splits, and accuracy beside chance."""

from collections.abc import Iterator

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import Space, spaces


def labelled(train: EmbeddingTable, test: EmbeddingTable) -> Iterator[tuple[Space, Space, np.ndarray]]:
    """Yields labelled train rows, labelled test rows and the sorted train labels.

    First whole rows, then each field. Spaces with fewer than two train classes or no labelled test row are skipped.
    """
    asked_of = {space.field: space.labelled() for space in spaces(test)}
    for learned in (space.labelled() for space in spaces(train)):
        asked = asked_of[learned.field]
        labels = np.unique(learned.labels) if len(learned) else np.array([])
        if len(labels) > 1 and len(asked):
            yield learned, asked, labels


def accuracy(learned: Space, asked: Space, right_N: np.ndarray) -> MetricResult:
    """Share of test rows classified correctly; chance is always predicting the largest train class.

    Args:
        learned: Labelled train rows.
        asked: Labelled test rows, N of them.
        right_N: (N,) whether each test row is classified correctly.
    """
    labels, counts = np.unique(learned.labels, return_counts=True)
    chance = float((asked.labels == labels[counts.argmax()]).mean())
    return MetricResult.mean(right_N, alone=True, chance=chance, field=asked.field)
