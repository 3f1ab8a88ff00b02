"""AnglE: text pairs in the order of their gold scores, by the angle between them as complex vectors."""

from typing import ClassVar

from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class AnglE(LossModule):
    """AnglE: text pairs in the order of their gold scores, by the angle between them as complex vectors.

    Where the cosine is flat, the angle is not. In the paper beside `CoSENT` and `InfoNCE`.

    Args:
        scale: 20 as in the paper.
        gather: Compare with the pairs of all processes, where torch.distributed runs.

    Shape:
        Two tensors (N, D), D even, row k of each pair k, and scores (N,).

    Equation:
        L = log(1 + sum over pairs k, l with score_k > score_l of e^(scale (A_l - A_k))), A the angle's cosine plus
        sine.

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
        """(N, D) twice and (N,) -> a scalar."""
        return self.reduced(lambda: F.angle(z1, z2, scores, scale=self.scale))
