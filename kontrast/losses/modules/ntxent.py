"""NT-Xent: two or more views of each sample attract, all other rows of the batch repel; the loss of SimCLR."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class NTXent(LossModule):
    """NT-Xent: two or more views of each sample attract, all other rows of the batch repel; the loss of SimCLR.

    The default for views without labels. With small batches take `DCL`; where labels are known, `SupCon`.

    Args:
        temperature: Above 0. 0.1 as SimCLR has it on ImageNet, 0.5 on CIFAR; lightly's default is 0.5.
        learnable: Learn it (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two or more views (N, D), row k of each the same sample; of any length, they are compared by cosine.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - mean_p S_ip, S the cosine over the temperature, p the other views of i's
        sample.

    Reference:
        Chen et al. 2020, arXiv:2002.05709.

    Example:
        >>> z1, z2 = torch.eye(2), torch.eye(2)
        >>> round(NTXent(temperature=1.0)(z1, z2).item(), 4)  # log(e + 2) - 1
        0.5514
    """

    def __init__(
        self, *, temperature: float = 0.1, learnable: bool = False, reduction: Reduction = "mean", gather: bool = True
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)

    def forward(self, *views: Tensor) -> Tensor:
        """Views (N, D) -> a scalar; "none": (views N,), all rows of the first view first."""
        return self.reduced(lambda: F.ntxent(*views, temperature=self.temperature()))
