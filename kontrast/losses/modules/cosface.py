"""CosFace: softmax over learned class centres, with a margin subtracted from the true class's cosine."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.proxies import Proxies
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class CosFace(LossModule):
    """CosFace: softmax over learned class centres, with a margin subtracted from the true class's cosine.

    For many classes with few rows each. Like `ArcFace`, with a margin that is easier to reason about; margin 0 is the
    normalised softmax.

    Args:
        num_classes: Number of classes C; labels are 0 to C - 1.
        dim: Width D of the embeddings.
        margin: Margin in cosine; 0.35 as in the paper and in pytorch-metric-learning.
        scale: Factor of the cosines; 64 as in the paper and in pytorch-metric-learning.
        reduction: "mean" over the rows with a known label (default), "sum", or "none" (one number per row, 0 without a
            label).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,). The parameter `proxies` has shape (num_classes, D).

    Equation:
        L_i = log sum_c e^(T_ic) - T_iy, T_iy = scale (cos_iy - margin) for i's class y, else scale cos_ic.

    Reference:
        Wang et al. 2018, arXiv:1801.09414.

    Example:
        >>> loss = CosFace(num_classes=10, dim=64)
        >>> bool(loss(torch.eye(64), torch.arange(64) % 10).isfinite())
        True
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        num_classes: int,
        dim: int,
        margin: float = 0.35,
        scale: float = 64.0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.proxies = Proxies(classes=num_classes, width=dim).centres
        self.margin, self.scale = margin, scale

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.cosface(z, labels, self.proxies, margin=self.margin, scale=self.scale))
