"""Keeps a part of each cloud: the points nearest to a random one."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.points.expect import expect_points
from kontrast.modalities.points.sampling import drawn, on_sphere


class PointCrop(Augmentation):
    """Cuts out a ball around a random point, and fills the view with repeated points of it.

    The modality crops before it draws the points of a view, which repeats fewer of them; this one is for a view that
    is there already.

    Args:
        least: Smallest share of the points that is kept. 0.5, as in STRL.

    Raises:
        UserError: the view holds no points.

    Equation:
        y: the ceil(s P) points nearest to x_q, around their mean and of radius 1; s uniform in least..1, q a random
        point.

    Reference:
        STRL, Huang et al. 2021, arXiv:2109.00179 (a box there).

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> PointCrop()(torch.randn(2, 3, 100), streams_of(torch.arange(2))).shape
        torch.Size([2, 3, 100])
    """

    def __init__(self, *, least: Annotated[float, Range(0.01, 1)] = 0.5) -> None:
        self.least = least

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, P) -> (B, C, P)."""
        expect_points("point_crop", x)
        share_B = self.least + (1 - self.least) * random_streams.uniform(streams.view_B, 1)[:, 0]
        return on_sphere(drawn(x, streams.fork(1).view_B, x.shape[2], share_B.to(torch.float32)))
