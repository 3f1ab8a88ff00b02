"""Turns each cloud about the axis that points up, or about any axis."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.points.expect import expect_points

_AXES = "xyz"
_CHANNELS = 3


class PointRotation(Augmentation):
    """Rotates coordinates, and the normals if there are any.

    Args:
        about: Axis of the rotation; "any" turns each cloud to any attitude, all equally likely.
        degrees: Largest angle about a named axis, in either direction.
        normals: Whether channels 3 to 5 are normals, which turn too.

    Raises:
        UserError: the view holds no points.

    Equation:
        y_p = R x_p, R a rotation by an angle uniform in -degrees..degrees, or uniform over all rotations.

    Reference:
        PointNet, Qi et al. 2017, arXiv:1612.00593; any attitude: Shoemake, "Uniform random rotations", 1992.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> x = torch.eye(3)[None]
        >>> y = PointRotation(about="z")(x.clone(), streams_of(torch.arange(1)))
        >>> torch.allclose(y[:, 2], x[:, 2]), bool((y - x).abs().max() > 0.01)
        (True, True)
    """

    def __init__(
        self,
        *,
        about: Literal["x", "y", "z", "any"] = "z",
        degrees: Annotated[float, Range(0, 180)] = 180.0,
        normals: bool = False,
    ) -> None:
        self.about, self.degrees, self.normals = about, degrees, normals

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, P) -> (B, C, P)."""
        expect_points("point_rotation", x)
        u_B3 = random_streams.uniform(streams.view_B, 3).to(x.device)
        turn = (_any(u_B3) if self.about == "any" else self._about(u_B3)).to(x.dtype)
        ends = (_CHANNELS, 2 * _CHANNELS) if self.normals and x.shape[1] >= 2 * _CHANNELS else (_CHANNELS,)
        parts = [turn @ x[:, end - _CHANNELS : end] for end in ends]
        return torch.cat([*parts, x[:, ends[-1] :]], 1)

    def _about(self, u_B3: Tensor) -> Tensor:
        """(B, 3, 3) rotations about the named axis."""
        angle = torch.deg2rad((2 * u_B3[:, 0] - 1) * self.degrees)
        one = _AXES.index(self.about)
        two, three = (one + 1) % 3, (one + 2) % 3
        turn = torch.zeros(len(angle), 3, 3, device=angle.device)
        turn[:, one, one] = 1
        turn[:, two, two] = turn[:, three, three] = angle.cos()
        turn[:, three, two], turn[:, two, three] = angle.sin(), -angle.sin()
        return turn


def _any(u_B3: Tensor) -> Tensor:
    """(B, 3, 3) uniform rotations, from uniform unit quaternions."""
    short, long = (1 - u_B3[:, 0]).sqrt(), u_B3[:, 0].sqrt()
    one, two = 2 * torch.pi * u_B3[:, 1], 2 * torch.pi * u_B3[:, 2]
    x, y, z, w = short * one.sin(), short * one.cos(), long * two.sin(), long * two.cos()
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)
