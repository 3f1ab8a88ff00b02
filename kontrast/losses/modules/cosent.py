"""CoSENT: the cosines of text pairs follow the order of their gold scores."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class CoSENT(LossModule):
    """CoSENT: the cosines of text pairs follow the order of their gold scores.

    For graded similarity (STS); only the order of the scores matters, not their size.

    Args:
        scale: Factor of the cosines; 20 as in sentence-transformers.
        gather: Compare with the pairs of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z1 and z2 (N, D): row k of both is pair k. scores (N,): the gold similarity of each pair.

    Equation:
        L = log(1 + sum over pairs k, l with score_k > score_l of e^(scale (cos_l - cos_k))).

    Reference:
        Huang et al. 2024, "CoSENT: consistent sentence embedding via similarity ranking", TASLP 32.

    Example:
        >>> CoSENT()(torch.eye(3), torch.eye(3)[[0, 1, 1]], torch.tensor([0.1, 0.9, 0.5]))
        tensor(20.)
    """

    compared: ClassVar[int | None] = 2

    def __init__(self, *, scale: float = 20.0, gather: bool = True) -> None:
        super().__init__(gather=gather)
        self.scale = scale

    def forward(self, z1: Tensor, z2: Tensor, scores: Tensor) -> Tensor:
        """Returns the loss, a scalar."""
        return self.reduced(lambda: F.cosent(z1, z2, scores, scale=self.scale))
