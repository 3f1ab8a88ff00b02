"""Uniformity of embeddings on the unit sphere: log mean Gaussian potential of pairs."""

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.normalize import sphere
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.tile_weights import Weights


class Uniformity(AlignmentLoss):
    """Uniformity of embeddings on the unit sphere: log mean Gaussian potential of pairs.

    Take it beside `Alignment`, which it keeps from collapse; alone it spreads rows without regard to meaning. Also a
    measure of how evenly embeddings are spread. Summed in tiles. Needs the rows of all processes, since the logarithm
    stands outside of the mean.

    Args:
        t: Sharpness of the potential, above 0; 2 as in the paper and its code.

    Shape:
        Two views (N, D), normalised here -> a term with count 1, or 0 if there is one row only.

    Raises:
        UserError: `t` is not above 0, or the views differ in shape.

    Equation:
        L = log mean_{i != j} e^{-t |x_i - x_j|^2} of normalised rows, averaged over both views.

    Reference:
        Wang & Isola 2020, arXiv:2005.10242.

    Example:
        >>> from kontrast.losses.engine.adapters import rows
        >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # opposite points, |x_i - x_j|^2 = 4
        >>> Uniformity()(rows(x), rows(x, view=1)).value()
        tensor(-8.)
    """

    whole = True

    def __init__(self, *, t: float = 2.0) -> None:
        super().__init__()
        self.t = t = input_checks.number(t, "uniformity: t", above=0)
        self.kernel, self.potential = Dot(), _Potential(2 * t)

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Computes the term; -t |x - y|^2 is 2t cos(x, y) - 2t."""
        logs = []
        for z in sides(self, one, two):
            label = torch.arange(len(z), device=z.device)
            rows = Embeddings(sphere(z) * (2 * self.t) ** 0.5, {"id": label, "view": torch.zeros_like(label)})
            mean = contrast(rows, rows, SameKey("id"), loss=self.potential, kernel=self.kernel)
            logs.append((mean.total / max(len(z) * (len(z) - 1), 1)).log())
        some = len(one) > 1  # a single row has no pair
        value = torch.stack(logs).mean() if some else one.z.sum() * 0
        return LossTerm(value, torch.tensor(float(some), device=value.device))


class _Potential(ContrastiveLoss):
    """L_i = sum_j Q_ij e^{S_ij - most}, most the largest similarity there can be."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        return candidates.dot((similarity - self.most).exp())

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        return torch.ones_like(positives.sum())
