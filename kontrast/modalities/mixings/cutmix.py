"""Pastes a random box of another image into each image."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.mixing import Mixing


class CutMix(Mixing):
    """Pastes a random box of its partner into each image.

    The centre of the box is anywhere, so a box at the edge is cut off there; lambda is the area that remains.

    Args:
        alpha: Shape of the Beta distribution of the area; 1, all areas alike, as in CutMix and GenSCL.

    Raises:
        UserError: the view is no image.

    Equation:
        y = x outside of the box, x' within; width = W (1 - l)^(1/2), height = H (1 - l)^(1/2), l ~ Beta(alpha, alpha),
        the centre uniform over the image; lambda = 1 - pixels of the clipped box / (W H)

    Reference:
        Yun et al. 2019, arXiv:1905.04899.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> y, share = CutMix()(torch.ones(4, 3, 8, 8), torch.zeros(4, 3, 8, 8), streams_of(torch.arange(4)))
        >>> torch.equal(y.mean((1, 2, 3)), share)
        True
    """

    def __init__(self, *, alpha: Annotated[float, Range(1e-3, 1000)] = 1.0) -> None:
        self.alpha = alpha

    def __call__(self, x: Tensor, other: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) and (B, C, H, W) -> (B, C, H, W), (B,)."""
        if x.ndim != 4:
            raise UserError(
                f"cutmix: expected images, found rows of {x.ndim - 1} axes. Choose mixup, which takes series."
            )
        side_B = (1 - random_streams.beta(random_streams.fork(streams.view_B, 0), self.alpha)).sqrt()
        centre_B2 = random_streams.uniform(random_streams.fork(streams.view_B, 1), 2)
        (rows_BH, high_B), (columns_BW, wide_B) = (
            _span(centre_B, side_B, n) for n, centre_B in zip(x.shape[2:], centre_B2.unbind(1), strict=True)
        )
        box = (rows_BH[:, None, :, None] & columns_BW[:, None, None, :]).to(x.device)
        return torch.where(box, other, x), (1 - high_B * wide_B).to(x.device)


def _span(centre_B: Tensor, side_B: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Pixels of the box along an axis, (B, n) bool, and their share of it, (B,)."""
    low, high = (((centre_B + half) * n).round().clamp(0, n)[:, None] for half in (-side_B / 2, side_B / 2))
    at = torch.arange(n, device=low.device)
    return (at >= low) & (at < high), (high - low)[:, 0] / n
