"""Predictor: from the embedding of one view to that of the other, on the trained side alone."""

from typing import Literal

from torch import Tensor, nn

from kontrast.layers.head import Head


class Predictor(nn.Module):
    """Perceptron of two layers that keeps the width: (B, width) -> (B, width).

    The side without a predictor is the target. BYOL, SimSiam and MoCo v3 have one; without it, BYOL and SimSiam
    collapse.

    Args:
        width: Width of the embeddings.
        hidden: Width of the hidden layer: a quarter of `width` in SimSiam, more than `width` in BYOL and MoCo v3.
        norm: Normalisation after the hidden layer.
        last_norm: Whether the output is normalised too, as in MoCo v3.

    Reference:
        Grill et al. 2020, arXiv:2006.07733; Chen & He 2021, arXiv:2011.10566.

    Example:
        >>> import torch
        >>> Predictor(width=8, hidden=2)(torch.zeros(3, 8)).shape
        torch.Size([3, 8])
    """

    def __init__(
        self, *, width: int, hidden: int, norm: Literal["batch", "layer", "none"] = "batch", last_norm: bool = False
    ) -> None:
        super().__init__()
        self.net = Head(in_width=width, width=width, hidden=hidden, norm=norm, last_norm=last_norm)

    def forward(self, z: Tensor) -> Tensor:
        """Predicted embeddings of the other view."""
        return self.net(z)
