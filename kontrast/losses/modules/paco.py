"""Parametric contrast: learned class centres join the candidates and attract more than samples do."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class PaCo(LossModule):
    """Parametric contrast: learned class centres join the candidates and attract more than samples do.

    For long-tailed classes: a classifier and a contrastive loss in one softmax.

    Args:
        num_classes: Number of classes C; labels are 0 to C - 1.
        dim: Width of the embeddings, or of `features` if those are given.
        alpha: Weight of a sample as a positive (a centre weighs 1); 0.05 as in the paper.
        temperature: Above 0, between samples; 0.2 as in the paper.
        centre_temperature: Above 0, between a sample and a centre; 1 by default.
        reduction: "mean" over the rows with a known label (default), "sum", or "none" (one number per row, 0 without a
            label).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,). features (N, F), optional: compared with the centres in place of z. prior (C,),
        optional: class frequencies for logit adjustment.

    Equation:
        L_i = log(sum_{k != i} e^(S_ik) + sum_c prior_c e^(T_ic)) - (alpha sum_p S_ip + T_iy) / (alpha P + 1), S between
        samples, T to the centres, p the P other rows of i's class y.

    Reference:
        Cui et al. 2021, arXiv:2107.12028.

    Example:
        >>> loss = PaCo(num_classes=3, dim=4)
        >>> bool(loss(torch.eye(4), torch.tensor([0, 0, 1, 2])).isfinite()), tuple(loss.centres.shape)
        (True, (3, 4))
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        num_classes: int,
        dim: int,
        alpha: float = 0.05,
        temperature: float = 0.2,
        centre_temperature: float = 1.0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.alpha, self.temperature, self.centre_temperature = alpha, temperature, centre_temperature
        self.centres = nn.Parameter(torch.randn(num_classes, dim) * dim**-0.5)

    def forward(self, z: Tensor, labels: Tensor, features: Tensor | None = None, prior: Tensor | None = None) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(
            lambda: F.paco(
                z,
                labels,
                self.centres,
                alpha=self.alpha,
                temperature=self.temperature,
                centre_temperature=self.centre_temperature,
                prior=prior,
                features=features,
            )
        )
