"""Proxy-anchor: learned class centres are the anchors and weigh their hard samples more."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.proxies import Proxies
from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule


class ProxyAnchor(LossModule):
    """Proxy-anchor: learned class centres are the anchors and weigh their hard samples more.

    Converges fast, and uses relations within the batch that `ArcFace` does not see.

    Args:
        num_classes: Number of classes C; labels are 0 to C - 1.
        dim: Width D of the embeddings.
        margin: Margin in cosine, the equation's m; 0.1 as in the paper.
        scale: Sharpness, the equation's g; 32 as in the paper.
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,). The parameter `proxies` has shape (num_classes, D).

    Equation:
        L = mean_c+ log(1 + sum_p e^(-g (S_cp - m))) + mean_c log(1 + sum_n e^(g (S_cn + m))), c+ the classes in the
        batch.

    Reference:
        Kim et al. 2020, arXiv:2003.13911.

    Example:
        >>> loss = ProxyAnchor(num_classes=10, dim=64)
        >>> bool(loss(torch.eye(64), torch.arange(64) % 10).isfinite())
        True
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self, *, num_classes: int, dim: int, margin: float = 0.1, scale: float = 32.0, gather: bool = True
    ) -> None:
        super().__init__(gather=gather)
        self.proxies = Proxies(classes=num_classes, width=dim).centres
        self.margin, self.scale = margin, scale

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss, a scalar."""
        return self.reduced(lambda: F.proxy_anchor(z, labels, self.proxies, margin=self.margin, scale=self.scale))
