"""Moves each point a little by itself."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.points.expect import expect_points


class PointJitter(Augmentation):
    """Adds normal noise to coordinates, cut off at five deviations.

    Args:
        deviation: Standard deviation, in radii of the cloud. 0.01, as in PointNet++ and DGCNN.

    Raises:
        UserError: the view holds no points.

    Equation:
        y_p = x_p + clip(deviation n_p, -5 deviation, 5 deviation), n_p standard normal.

    Reference:
        PointNet++, Qi et al. 2017, arXiv:1706.02413.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> y = PointJitter(deviation=0.01)(torch.zeros(1, 3, 50), streams_of(torch.arange(1)))
        >>> bool((y.abs() <= 0.05).all() and y.std() > 0.005)
        True
    """

    def __init__(self, *, deviation: Annotated[float, Range(0, 1)] = 0.01) -> None:
        self.deviation = deviation

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, P) -> (B, C, P)."""
        expect_points("point_jitter", x)
        moves = random_streams.normal(streams.view_B, 3 * x.shape[2]).view(len(x), 3, -1).clamp(-5, 5)
        return torch.cat([x[:, :3] + self.deviation * moves.to(x.device, x.dtype), x[:, 3:]], 1)
