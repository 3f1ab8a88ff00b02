"""Stretches each cloud along its axes."""

import math
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.points.expect import expect_points


class PointScale(Augmentation):
    """Multiplies each coordinate by a factor of its own, or all three by the same.

    Args:
        most: Largest change (0.25: from 1 / 1.25 to 1.25). 0.25 as in STRL; DGCNN takes 0.5.
        each: Whether the three axes have factors of their own.

    Raises:
        UserError: the view holds no points.

    Equation:
        y_pd = (1 + most)^u_d x_pd, u_d uniform in -1..1.

    Reference:
        DGCNN, Wang et al. 2019, arXiv:1801.07829; STRL, Huang et al. 2021, arXiv:2109.00179.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> y = PointScale(most=0.5)(torch.ones(9, 3, 1), streams_of(torch.arange(9)))
        >>> bool((y > 0.66).all() and (y < 1.51).all())
        True
    """

    def __init__(self, *, most: Annotated[float, Range(0, 10)] = 0.25, each: bool = True) -> None:
        self.most, self.each = most, each

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, P) -> (B, C, P)."""
        expect_points("point_scale", x)
        u = random_streams.uniform(streams.view_B, 3 if self.each else 1).to(x.device, x.dtype)
        factor = torch.exp(math.log1p(self.most) * (2 * u - 1))[..., None]
        return torch.cat([x[:, :3] * factor, x[:, 3:]], 1)
