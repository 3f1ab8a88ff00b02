"""Uniformity: how evenly rows cover the sphere."""

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.normalize import sphere
from kontrast.losses.engine.tile_weights import Weights
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.same_key import SameKey


class Uniformity(AlignmentLoss):
    """log mean_{i != j} e^{-t |x_i - x_j|^2} of normalised rows, the mean of both sides: Wang & Isola 2020
    (arXiv:2005.10242).

    Summed in tiles. Needs the whole batch: the logarithm stands outside of the mean.
    """

    whole = True

    def __init__(self, *, t: float = 2.0) -> None:
        super().__init__()
        self.t = t = input_checks.number(t, "uniformity: t", above=0)
        self.kernel, self.potential = Dot(), _Potential(2 * t)

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """The equation above; -t |x - y|^2 is 2t cos(x, y) - 2t."""
        logs = []
        for z in sides(self, one, two):
            label = torch.arange(len(z), device=z.device)
            rows = Embeddings(sphere(z) * (2 * self.t) ** 0.5, {"id": label, "view": torch.zeros_like(label)})
            mean = contrast(rows, rows, SameKey("id"), loss=self.potential, kernel=self.kernel)
            logs.append((mean.total / max(len(z) * (len(z) - 1), 1)).log())
        some = len(one) > 1  # one row alone is not evenly spread, nor unevenly
        value = torch.stack(logs).mean() if some else one.z.sum() * 0
        return LossTerm(value, torch.tensor(float(some), device=value.device))


class _Potential(ContrastiveLoss):
    """sum_j Q_ij e^{S_ij - most}."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        return among.dot((similarity - self.most).exp())

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        return torch.ones_like(attract.sum())
