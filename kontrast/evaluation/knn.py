"""Knn: the accuracy of the nearest train rows' vote on each test row. N test rows, M train rows, C classes."""

import math
from typing import Annotated

import numpy as np
import torch

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.factory import Range
from kontrast.evaluation.accuracy import accuracy, labelled
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import Space, unlearnable

TILE = 2**24  # similarities held at once: 64 MB


class KNN(Evaluator):
    """The weighted vote of the k nearest train rows by cosine: what a row's neighbourhood knows of its label.

    A neighbour weighs exp(similarity / temperature), as in Wu et al., "Unsupervised feature learning via
    non-parametric instance discrimination", CVPR 2018, section 3.4 (they took k = 200 of a million). temperature 0:
    one neighbour, one vote. k is never more than sqrt(M / C), the root of the rows of an average class: with few rows a
    class, far neighbours outvote the near ones (29 small sets of time series, raw: .778 with min(sqrt(M), M / C), .793
    so, .80 with one neighbour). A test label that no train row has counts as a miss. Chance: always saying the
    largest train class.
    """

    place = 20

    def __init__(self, *, k: Annotated[int, Range(1)] = 20, temperature: Annotated[float, Range(0)] = 0.07) -> None:
        self.k, self.temperature = k, temperature

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """No labels, or one class only."""
        return unlearnable(train, test)

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Name -> whether each labelled test row is named rightly."""
        found = {}
        for learned, asked, labels in labelled(train, test) if self.why_not(train, test) is None else ():
            right = labels[self._vote(learned, asked.z, labels)] == asked.labels
            found[asked.named("kNN accuracy")] = accuracy(learned, asked, right)
        return found

    def _vote(self, learned: Space, z_ND: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(N,) the code of the label that wins; the first of equals."""
        M, C = len(learned), len(labels)
        k = max(1, min(self.k, math.isqrt(M // C)))
        bank_MD, code_M = torch.from_numpy(learned.z), torch.from_numpy(np.searchsorted(labels, learned.labels))
        winners = []
        for z_BD in torch.from_numpy(z_ND).split(max(1, TILE // max(M, C))):
            near_BK, index_BK = (z_BD @ bank_MD.T).topk(k)
            # relative to the nearest, so that nothing underflows
            weight_BK = ((near_BK - near_BK[:, :1]) / self.temperature).exp() if self.temperature else near_BK * 0 + 1
            votes_BC = near_BK.new_zeros(len(z_BD), C).scatter_add_(1, code_M[index_BK], weight_BK)
            winners.append(votes_BC.argmax(1))
        return torch.cat(winners).numpy()
