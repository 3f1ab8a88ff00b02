"""CosFace: softmax over learned class centres, the cosine to one's own lowered by a margin."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.proxies import Proxies
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class CosFace(LossModule):
    """CosFace: softmax over learned class centres, the cosine to one's own lowered by a margin.

    `ArcFace` with a margin that is easier to reason about; without margin the normalised softmax.

    Args:
        num_classes: Number of classes; labels are 0 to num_classes - 1.
        dim: Width of the embeddings.
        margin: In cosine; 0.35 as in the paper.
        scale: Of the cosines; 64 as in the paper.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,). Its parameter `proxies` is (num_classes, D).

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
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.cosface(z, labels, self.proxies, margin=self.margin, scale=self.scale))
