"""SigLIP: a yes-or-no question per pair of image and text, without a softmax."""

import torch
from torch import Tensor, nn

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SigLIP(LossModule):
    """SigLIP: a yes-or-no question per pair of image and text, without a softmax.

    For pairs of two modalities; works from small batches on. Scale and bias are learned by default.

    Args:
        temperature: Above 0, the inverse of the scale; 0.1 at the start (scale 10), as in the paper.
        bias: Added to every similarity; -10 at the start, as in the paper, so that the many negatives weigh little.
        learnable: Learn scale and bias (parameters `temperature.log_scale` and `bias`; default), as the paper does.
        largest: Upper bound of the learned scale; 1,000 by default.
        reduction: "mean" over the images (default), "sum", or "none" (per image the sum over all texts).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        image and text (N, D): row k of one belongs to row k of the other. Compared by cosine.

    Equation:
        L = 1/N sum_ij softplus(-y_ij (scale cos_ij + bias)), y_ij = 1 where i = j, else -1.

    Reference:
        Zhai et al. 2023, arXiv:2303.15343.

    Example:
        >>> loss = SigLIP()
        >>> round(loss(torch.eye(4), torch.eye(4)).item(), 4), len(list(loss.parameters()))
        (0.6933, 2)
    """

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        bias: float = -10.0,
        learnable: bool = True,
        largest: float = 1000.0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable, largest=largest)
        self.bias = nn.Parameter(torch.tensor(float(bias)), requires_grad=learnable)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(lambda: F.siglip(image, text, scale=1 / self.temperature(), bias=self.bias))
