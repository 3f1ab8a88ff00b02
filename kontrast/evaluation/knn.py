"""Accuracy of the k nearest train rows' weighted vote on each test row."""

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
    """Accuracy of a weighted vote of the k nearest train rows by cosine similarity.

    Chance: always predicting the largest train class. A test label that no train row has counts as a miss.

    Args:
        k: Neighbours, at least 1, at most sqrt(M / C) for M train rows and C classes: with few rows per class, distant
            neighbours outvote near ones (29 small sets of time series, raw features: accuracy .778 with min(sqrt(M),
            M / C), .793 with this limit, .80 with one neighbour). Default 20; the paper takes 200 of a million.
        temperature: Scale of the weights, at least 0; 0 gives each neighbour one vote. Default 0.07, as in the paper.

    Returns:
        `kNN accuracy` of whole rows and `FIELD kNN accuracy` per field.

    Equation:
        w_ij = exp(cos(x_i, x_j) / temperature); prediction_i = argmax_c sum_{j in kNN(i), y_j = c} w_ij

    Reference:
        Wu et al., "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018, section 3.4,
        arXiv:1805.01978.

    Example:
        >>> import numpy as np
        >>> from kontrast.core.embedding_table import EmbeddingTable
        >>> z = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
        >>> table = EmbeddingTable({"x": z}, np.array(list("abcd")), np.array(["cat", "cat", "dog", "dog"]))
        >>> KNN()(table, table)["kNN accuracy"].value
        1.0
    """

    place = 20

    def __init__(self, *, k: Annotated[int, Range(1)] = 20, temperature: Annotated[float, Range(0)] = 0.07) -> None:
        self.k, self.temperature = k, temperature

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if labels are missing or there is only one class."""
        return unlearnable(train, test)

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Accuracy by name, with one entry per labelled test row."""
        found = {}
        for learned, asked, labels in labelled(train, test) if self.why_not(train, test) is None else ():
            right = labels[self._vote(learned, asked.z, labels)] == asked.labels
            found[asked.named("kNN accuracy")] = accuracy(learned, asked, right)
        return found

    def _vote(self, learned: Space, z_ND: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(N,) code of the winning label; ties go to the lowest code."""
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
