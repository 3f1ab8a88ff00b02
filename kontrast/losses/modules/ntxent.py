"""NT-Xent, the loss of SimCLR: views of a sample attract, all other rows repel."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class NTXent(LossModule):
    """NT-Xent, the loss of SimCLR: views of a sample attract, all other rows repel.

    The default for views without labels. With small batches take `DCL`, with labels `SupCon`.

    Args:
        temperature: Above 0; 0.1 as SimCLR on ImageNet. SimCLR on CIFAR and lightly's default: 0.5.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over all anchors (default), "sum", or "none" (one number per anchor).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two or more tensors (N, D), one per view: row k of each is a view of sample k. Compared by cosine.

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
        """Returns the loss: a scalar; with "none" (V N,) for V views, in order."""
        return self.reduced(lambda: F.ntxent(*views, temperature=self.temperature()))
