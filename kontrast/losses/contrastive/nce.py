"""Noise-contrastive estimation: tells each anchor's own row from rows drawn as noise."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.tile_weights import Weights


class NCE(ContrastiveLoss):
    """Noise-contrastive estimation: tells each anchor's own row from rows drawn as noise.

    Take it for instance discrimination against a memory too large for a full softmax; otherwise `InfoNCE`. Q must hold
    noise rows only.

    Args:
        shift: log(noise rows * mean e^S over the memory), by which the posterior of "own" is e^S / Z against noise /
            rows. Default 0; `kt.losses.InstanceDiscrimination` measures it in the first batch, as the paper does with
            Z.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: `shift` is no finite number.

    Equation:
        L_i = sum_j P_ij softplus(shift - S_ij) + sum_k Q_ik softplus(S_ik - shift)

    Reference:
        Wu et al. 2018, arXiv:1805.01978, equations 5 to 7.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=NCE(), kernel="dot", relation=SameKey("label", apart=True))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # softplus(-1) + softplus(0)
        1.0064
    """

    def __init__(self, *, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = input_checks.number(shift, "nce: shift")

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        return positives.dot(F.softplus(self.shift - similarity)) + candidates.dot(F.softplus(similarity - self.shift))
