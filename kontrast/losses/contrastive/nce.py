"""Noise-contrastive estimation: is this row the anchor's own, or drawn as noise?"""

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.tile_weights import Weights


class NCE(ContrastiveLoss):
    """L_i = sum_j P_ij softplus(shift - S_ij) + sum_k Q_ik softplus(S_ik - shift).

    With shift = log(noise rows * mean e^S over the bank) it is the approximation of instance discrimination, where the
    posterior of "own" is e^S/Z against noise/rows (arXiv:1805.01978, equations 5 to 7). Q should hold noise alone.
    """

    def __init__(self, *, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = input_checks.number(shift, "nce: shift")

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equation above."""
        return attract.dot(F.softplus(self.shift - similarity)) + among.dot(F.softplus(similarity - self.shift))
