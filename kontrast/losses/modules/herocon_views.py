"""HeroCon's unsupervised term: views of a sample attract, others repel by learned weights."""

from torch import Tensor, nn

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class HeroConViews(LossModule):
    """HeroCon's unsupervised term: views of a sample attract, others repel by learned weights.

    A small layer g (linear, then sigmoid) maps both views before the weights are computed. The paper trains it together
    with `HeroCon` on labels.

    Args:
        dim: Width D of the embeddings.
        reduction: "mean" over the rows (default), "sum", or "none" (one number per row).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two tensors (N, D): row k of both is a view of sample k. Compared by cosine.

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
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.herocon_views(v1, v2, self.transform(v1), self.transform(v2)))
