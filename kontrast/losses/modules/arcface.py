"""ArcFace: softmax over learned class centres, the angle to one's own enlarged by a margin."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.proxies import Proxies
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class ArcFace(LossModule):
    """ArcFace: softmax over learned class centres, the angle to one's own enlarged by a margin.

    For many classes with few rows each (faces); a batch needs no two rows of a class.

    Args:
        num_classes: Number of classes; labels are 0 to num_classes - 1.
        dim: Width of the embeddings.
        margin: In radians; 0.5 as in the paper. pytorch-metric-learning's 28.6 is the same in degrees (`math.radians`).
        scale: Of the cosines; 64 as in the paper.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,). Its parameter `proxies` is (num_classes, D).

    Equation:
        L_i = log sum_c e^(T_ic) - T_iy, T_iy = scale cos(angle_iy + margin) for i's class y, else scale cos(angle_ic).

    Reference:
        Deng et al. 2019, arXiv:1801.07698.

    Example:
        >>> loss = ArcFace(num_classes=10, dim=64)
        >>> bool(loss(torch.eye(64), torch.arange(64) % 10).isfinite()), tuple(loss.proxies.shape)
        (True, (10, 64))
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        num_classes: int,
        dim: int,
        margin: float = 0.5,
        scale: float = 64.0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.proxies = Proxies(classes=num_classes, width=dim).centres
        self.margin, self.scale = margin, scale

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.arcface(z, labels, self.proxies, margin=self.margin, scale=self.scale))
