"""Covers a random square of each image by its mean colour."""

from typing import Annotated, ClassVar

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.data.view import Role


class Cutout(Augmentation):
    """Covers a square at a random place of each image by the mean colour of the data.

    The centre is anywhere, so a square at the edge is cut off there. Strong views of images have it, after FixMatch.

    Args:
        side: Side of the square as a share of the shorter side of the image; 0.5 as in FixMatch and, for CIFAR-10, in
            Cutout.

    Raises:
        UserError: the view is no image.

    Equation:
        y_p = 0 (the mean of the data, since images are normalised) if |p - c| < side / 2 along each axis, else x_p;
        c uniform over the image.

    Reference:
        DeVries, Taylor 2017, arXiv:1708.04552; FixMatch, Sohn et al. 2020, arXiv:2001.07685.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> x = Cutout(side=0.5)(torch.ones(4, 3, 32, 32), streams_of(torch.arange(4)))
        >>> bool(((x == 0).float().mean((1, 2, 3)) >= 0.06).all())
        True
    """

    roles: ClassVar[frozenset[Role]] = frozenset({"global", "strong"})  # a local crop is a part already

    def __init__(self, *, side: Annotated[float, Range(0, 1)] = 0.5) -> None:
        self.side = side

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if x.ndim != 4:
            raise UserError(f"cutout: expected images, found rows of {x.ndim - 1} axes. Leave it out of this view.")
        H, W = x.shape[2:]
        at_y, at_x = random_streams.uniform(streams.view_B, 2).to(x.device).unbind(1)
        half = self.side * min(H, W) / 2
        near_BH, near_BW = (
            (torch.arange(n, device=x.device) + 0.5 - at[:, None] * n).abs() < half for at, n in ((at_y, H), (at_x, W))
        )
        return x.masked_fill((near_BH[:, :, None] & near_BW[:, None])[:, None], 0)
