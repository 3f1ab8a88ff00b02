"""AnglE ranks text pairs by gold score, using their angle in the complex plane."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class AnglE(LossModule):
    """AnglE ranks text pairs by gold score, using their angle in the complex plane.

    For graded similarity (STS): the angle still has a slope where the cosine is flat. The paper adds it to `CoSENT` and
    `InfoNCE`.

    Args:
        scale: Factor of the scores A; 20 as in the paper.
        gather: Compare with the pairs of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z1 and z2 (N, D), D even: row k of both is pair k. scores (N,): the gold similarity of each pair.

    Equation:
        L = log(1 + sum over pairs k, l with score_k > score_l of e^(scale (A_l - A_k))), A = |cos + sin| of the
        angle between both embeddings, read as complex vectors.

    Reference:
        Li & Li 2023, arXiv:2309.12871.

    Example:
        >>> AnglE()(torch.eye(4), torch.eye(4)[[0, 1, 1, 1]], torch.tensor([0.1, 0.9, 0.5, 0.2]))
        tensor(20.6931)
    """

    compared: ClassVar[int | None] = 2

    def __init__(self, *, scale: float = 20.0, gather: bool = True) -> None:
        super().__init__(gather=gather)
        self.scale = scale

    def forward(self, z1: Tensor, z2: Tensor, scores: Tensor) -> Tensor:
        """Returns the loss, a scalar."""
        return self.reduced(lambda: F.angle(z1, z2, scores, scale=self.scale))
