"""SupCon, the supervised NT-Xent: rows of one label attract, all other rows repel."""

from typing import ClassVar

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SupCon(LossModule):
    """SupCon, the supervised NT-Xent: rows of one label attract, all other rows repel.

    The default for data with labels. With two views per sample: `SupCon()(torch.cat([z1, z2]), labels.repeat(2))`.

    Args:
        temperature: Above 0; 0.1 as in the paper. The authors' code also multiplies the loss by temperature / 0.07;
            this one does not.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the anchors that have a positive (default), "sum", or "none" (one number per anchor, 0
            without a positive).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,); -1 marks an unknown label. Embeddings are compared by cosine.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - mean_p S_ip, S the cosine over the temperature, p the other rows of i's class
        (L_out of the paper).

    Reference:
        Khosla et al. 2020, arXiv:2004.11362.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(SupCon(temperature=1.0)(z, torch.tensor([0, 0, 1])).item(), 4)  # log(e + 1) - 1
        0.3133
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self, *, temperature: float = 0.1, learnable: bool = False, reduction: Reduction = "mean", gather: bool = True
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.supcon(z, labels, temperature=self.temperature()))
