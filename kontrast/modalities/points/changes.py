"""Which augmentations a view of a cloud gets, and how strong."""

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from kontrast.core.random_streams import Streams
from kontrast.modalities.points.augmentations.point_drop import PointDrop
from kontrast.modalities.points.augmentations.point_jitter import PointJitter
from kontrast.modalities.points.augmentations.point_rotation import PointRotation
from kontrast.modalities.points.augmentations.point_scale import PointScale

_MOST_DROPPED = 0.95  # that a strong view raises a share to

Axis = Literal["x", "y", "z"]


@dataclass(frozen=True)
class Changes:
    """Amounts of the changes, as the settings of `Points` describe them; 0 and "none" for none."""

    rotate: Literal["up", "any", "none"] = "none"
    angle: float = 180.0
    scale: float = 0.0
    jitter: float = 0.0
    drop: float = 0.0

    def doubled(self) -> "Changes":
        """The same changes, twice as strong."""
        drop = max(self.drop, min(_MOST_DROPPED, 2 * self.drop))
        angle = min(180.0, 2 * self.angle)
        return replace(self, angle=angle, scale=2 * self.scale, jitter=min(1.0, 2 * self.jitter), drop=drop)

    def apply(self, x: Tensor, streams: Streams, *, up: Axis, normals: bool) -> Tensor:
        """A view of points after all changes, each with random numbers of its own.

        Args:
            x: (B, C, P), in the unit sphere.
            streams: Random streams of the rows.
            up: Axis that points up.
            normals: Whether channels 3 to 5 are normals.
        """
        if self.drop:
            x = PointDrop(most=self.drop)(x, streams.fork(0))
        if self.scale:
            x = PointScale(most=self.scale)(x, streams.fork(1))
        if self.rotate != "none":
            about = "any" if self.rotate == "any" else up
            x = PointRotation(about=about, degrees=self.angle, normals=normals)(x, streams.fork(2))
        if self.jitter:
            x = PointJitter(deviation=self.jitter)(x, streams.fork(3))
        return x
