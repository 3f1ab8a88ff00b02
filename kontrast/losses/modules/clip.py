"""CLIP: each image picks its text among all texts of the batch, and each text its image."""

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class CLIP(LossModule):
    """CLIP: each image picks its text among all texts of the batch, and each text its image.

    For pairs of two kinds or fields. With explicit negatives or one direction take `InfoNCE`; `SigLIP` needs no large
    batch.

    Args:
        temperature: Above 0. CLIP begins at 0.07.
        learnable: Learn it, as CLIP does (a parameter `temperature.log_scale`, 1 / temperature at most `largest`).
        largest: The largest 1 / temperature that is learned.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two tensors (N, D), row k of one belongs to row k of the other; compared by cosine.

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
        """(N, D) twice -> a scalar; "none": (N,), one number per pair."""
        return self.reduced(lambda: F.clip(image, text, temperature=self.temperature()))
