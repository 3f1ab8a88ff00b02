"""SigLIP: every pair of an image and a text is a yes-or-no question of its own, without a softmax over the batch."""

import torch
from torch import Tensor, nn

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SigLIP(LossModule):
    """SigLIP: every pair of an image and a text is a yes-or-no question of its own, without a softmax over the batch.

    Works from small batches on; its scale and bias are learned from the start.

    Args:
        temperature: Above 0; the scale is its inverse, 10 at first as in the paper.
        bias: Added to every similarity; -10 at first, so that the many negatives weigh little.
        learnable: Learn both (parameters `temperature.log_scale` and `bias`), as the paper does.
        largest: The largest scale that is learned.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        Two tensors (N, D), row k of one belongs to row k of the other; compared by cosine.

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
        """(N, D) twice -> a scalar; "none": (N,), the sum over all texts for each image."""
        return self.reduced(lambda: F.siglip(image, text, scale=1 / self.temperature(), bias=self.bias))
