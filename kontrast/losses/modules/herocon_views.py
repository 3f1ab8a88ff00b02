"""HeroCon's unsupervised term: views of a sample attract, others repel by weights that a small layer learns."""

from torch import Tensor, nn

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class HeroConViews(LossModule):
    """HeroCon's unsupervised term: views of a sample attract, others repel by weights that a small layer learns.

    Its layer g (linear, sigmoid) maps both views before they weigh each other. Beside `HeroCon` on labels.

    Args:
        dim: Width of the embeddings.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two views (N, D), row k of each the same sample; compared by cosine.

    Equation:
        L_i = log(mean_k w_ki e^cos(v1_k, v2_i)) - cos(v1_i, v2_i), w_ki = (e^(1 - cos(g v1_k, v2_i)) + e^(1 - cos(g
        v2_k, v1_i))) / 2.

    Reference:
        Zheng et al. 2022, "Contrastive learning with complex heterogeneity", KDD.

    Example:
        >>> loss = HeroConViews(dim=2)
        >>> bool(loss(torch.eye(2), torch.eye(2)).isfinite()), len(list(loss.parameters()))
        (True, 2)
    """

    def __init__(self, *, dim: int, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.transform = nn.Sequential(nn.Linear(dim, dim), nn.Sigmoid())

    def forward(self, v1: Tensor, v2: Tensor) -> Tensor:
        """(N, D) twice -> a scalar; "none": (N,)."""
        return self.reduced(lambda: F.herocon_views(v1, v2, self.transform(v1), self.transform(v2)))
