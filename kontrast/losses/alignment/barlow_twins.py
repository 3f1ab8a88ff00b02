"""Barlow Twins: cross-correlation of two views' features close to the identity."""

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
    """Barlow Twins: cross-correlation of two views' features close to the identity.

    Take it for views without labels if negatives are scarce or batches small; it wants wide projections (2,048 or
    more). `VICReg` is its sibling without normalised features. Features are standardised by the batch (variance / N,
    `eps` added, as in BatchNorm). The D x D matrix is only ever a tile. Needs the rows of all processes.

    Args:
        off: Weight of different features, at least 0; 0.005 as in the paper (0.0051 in the code) and in lightly.
        eps: Added to variances, above 0; 1e-5 as in BatchNorm.

    Shape:
        Two views (N, D), not normalised -> a term with count 1.

    Raises:
        UserError: A setting outside its bounds, or views that differ in shape.

    Equation:
        L = sum_i (1 - C_ii)^2 + off sum_{i != j} C_ij^2, C the correlation of two views' features.

    Reference:
        Zbontar et al. 2021, arXiv:2103.03230.

    Example:
        >>> from kontrast.losses.engine.adapters import rows
        >>> one, two = rows(torch.eye(4)), rows(torch.eye(4), view=1)
        >>> round(BarlowTwins()(one, two).value().item(), 4)  # 12 pairs of features correlate by -1/3: 0.005 * 12 / 9
        0.0067
    """

    whole = True

    def __init__(self, *, off: float = 0.005, eps: float = 1e-5) -> None:
        super().__init__()
        self.off = off = input_checks.number(off, "barlow_twins: off", least=0)
        self.eps = input_checks.number(eps, "barlow_twins: eps", above=0)
        self.kernel, self.loss = Dot(), SimilarityRegression(off=off)

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Computes the loss of the whole batch."""
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
    """Features as rows: D rows of width N, which the engine compares.

    Args:
        z: (N, D).
        view: View of all rows; features of two views share ids.
    """
    label = torch.arange(z.shape[1], device=z.device)
    return Embeddings(z.mT.contiguous(), {"id": label, "view": torch.full_like(label, view)})
