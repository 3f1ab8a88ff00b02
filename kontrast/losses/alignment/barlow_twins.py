"""Barlow Twins: each feature agrees with itself in the other view and with no other feature."""

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import dense, input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.pairwise.similarity_regression import SimilarityRegression
from kontrast.losses.relations.same_key import SameKey


class BarlowTwins(AlignmentLoss):
    """sum_i (1 - C_ii)^2 + off sum_{i != j} C_ij^2, C the correlation of two views' features (Zbontar et al. 2021,
    arXiv:2103.03230).

    Features are standardised by the batch with variance / N and `eps` added to it, as BatchNorm does. Computed by the
    engine with features for rows: the D x D matrix is only ever a tile. Needs the whole batch: means, variances and C
    are sums over all ranks.
    """

    whole = True

    def __init__(self, *, off: float = 0.005, eps: float = 1e-5) -> None:
        super().__init__()
        self.off = off = input_checks.number(off, "barlow: off", least=0)
        self.eps = input_checks.number(eps, "barlow: eps", above=0)
        self.kernel, self.loss = Dot(), SimilarityRegression(off=off)

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """The equation above."""
        x, y = (self._standard(z) for z in sides(self, one, two))
        if x.shape[1] ** 2 <= dense.SMALL:
            with torch.autocast(x.device.type, enabled=False):
                own, off = dense.off_squares(x.mT @ y / len(x))
            total = (1 - own).square().sum() + self.loss.off * off
            return LossTerm(total, exact(torch.ones_like(total)))
        mean = contrast(features(x / len(x), 0), features(y, 1), SameKey("id"), loss=self.loss, kernel=self.kernel)
        return LossTerm(mean.total, torch.ones_like(mean.count))

    def _standard(self, z: Tensor) -> Tensor:
        return (z - z.mean(0)) / (z.var(0, correction=0) + self.eps).sqrt()


def features(z: Tensor, view: int) -> Embeddings:
    """(N, D) -> D rows of width N: the feature axis as rows, which the same engine compares."""
    label = torch.arange(z.shape[1], device=z.device)
    return Embeddings(z.mT.contiguous(), {"id": label, "view": torch.full_like(label, view)})
