"""Mixes each image by MixUp or by CutMix, as a coin decides."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.mixing import Mixing
from kontrast.modalities.mixings.cutmix import CutMix
from kontrast.modalities.mixings.mixup import MixUp


class MixUpCutMix(Mixing):
    """Mixes each image by MixUp or by CutMix.

    GenSCL tosses the coin for a whole batch and view; here each row has its own.

    Args:
        cutmix: Probability of CutMix; 0.5 as in GenSCL.
        alpha: Shape of the Beta distribution of lambda in both; 1 as in GenSCL.

    Equation:
        y = CutMix(x, x') if u < cutmix, else MixUp(x, x'); u uniform per row

    Reference:
        GenSCL, Kim et al. 2022, arXiv:2206.00384.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> y, share = MixUpCutMix()(torch.ones(4, 3, 8, 8), torch.zeros(4, 3, 8, 8), streams_of(torch.arange(4)))
        >>> torch.allclose(y.mean((1, 2, 3)), share)
        True
    """

    def __init__(
        self, *, cutmix: Annotated[float, Range(0, 1)] = 0.5, alpha: Annotated[float, Range(1e-3, 1000)] = 1.0
    ) -> None:
        self.cutmix, self._kinds = cutmix, (CutMix(alpha=alpha), MixUp(alpha=alpha))

    def __call__(self, x: Tensor, other: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) and (B, C, H, W) -> (B, C, H, W), (B,)."""
        (pasted, left_B), (blended, share_B) = (kind(x, other, streams) for kind in self._kinds)
        cut_B = (random_streams.uniform(random_streams.fork(streams.view_B, 2), 1)[:, 0] < self.cutmix).to(x.device)
        return torch.where(cut_B[:, None, None, None], pasted, blended), torch.where(cut_B, left_B, share_B)
