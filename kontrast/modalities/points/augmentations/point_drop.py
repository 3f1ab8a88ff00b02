"""Leaves out a random share of the points of each cloud."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.points.expect import expect_points


class PointDrop(Augmentation):
    """Replaces points by copies of one that stays, so that the number of points stays and the maximum forgets them.

    Args:
        most: Largest share that is left out. 0.2; PointNet++ takes 0.875.

    Raises:
        UserError: the view holds no points.

    Equation:
        y_p = x_q if u_p < d, else x_p; d uniform in 0..most, u_p uniform in 0..1, q the point with the largest u.

    Reference:
        PointNet++, Qi et al. 2017, arXiv:1706.02413.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> y = PointDrop(most=0.9)(torch.arange(300.0).view(1, 3, 100), streams_of(torch.arange(1)))
        >>> y.shape[2], len(y[0, 0].unique()) < 100
        (100, True)
    """

    def __init__(self, *, most: Annotated[float, Range(0, 1)] = 0.2) -> None:
        self.most = most

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, P) -> (B, C, P)."""
        expect_points("point_drop", x)
        u = random_streams.uniform(streams.view_B, x.shape[2] + 1).to(x.device)
        share, each = self.most * u[:, :1], u[:, 1:]
        stays = each.argmax(1, keepdim=True)
        at = torch.where(each < share, stays, torch.arange(x.shape[2], device=x.device))
        return x.gather(2, at[:, None].expand(-1, x.shape[1], -1))
