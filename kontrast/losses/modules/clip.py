"""CLIP: each image picks its text among the batch's texts, and each text its image."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class CLIP(LossModule):
    """CLIP: each image picks its text among the batch's texts, and each text its image.

    For pairs of two modalities or fields. For explicit negatives or one direction take `InfoNCE`; with small batches
    take `SigLIP`.

    Args:
        temperature: Above 0; 0.07, where CLIP starts.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`).
        largest: Upper bound of the learned 1 / temperature; 100 as in the paper.
        reduction: "mean" over the pairs (default), "sum", or "none" (one number per pair).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        image and text (N, D): row k of one belongs to row k of the other. Compared by cosine.

    Equation:
        L_i = [log sum_k e^(S_ik) + log sum_k e^(S_ki)] / 2 - S_ii, S the cosine over the temperature.

    Reference:
        Radford et al. 2021, arXiv:2103.00020.

    Example:
        >>> round(CLIP(temperature=1.0)(torch.eye(2), torch.eye(2)).item(), 4)  # log(e + 1) - 1
        0.3133
    """

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learnable: bool = False,
        largest: float = 100.0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable, largest=largest)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.clip(image, text, temperature=self.temperature()))
