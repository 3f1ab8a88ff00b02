"""Point clouds and meshes: a fixed number of points per view, drawn from each cloud.

Axis letters: B rows, C channels, N points of a batch, P points of a view.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable, UserError
from kontrast.core.factory import Range
from kontrast.data.augmentation import AugmentationChoice, applied, augmentation_of, streams_of
from kontrast.data.export_entry import ExportEntry
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows, span
from kontrast.data.schema.column import Claim, Column
from kontrast.data.view import Role
from kontrast.modalities.points import preview, sampling
from kontrast.modalities.points.changes import Axis, Changes
from kontrast.modalities.points.cloud import Cloud, cloud
from kontrast.modalities.points.examples import body
from kontrast.modalities.points.export_entry import PointsEntry
from kontrast.modalities.points.layout import Layout, layout
from kontrast.modalities.points.occupancy import occupancy
from kontrast.modalities.points.recognise import recognise
from kontrast.modalities.points.remarks import remarks

_USUAL = 512  # points of a view, at most, unless set
_GRID, _FINE = 4, 8  # cells along an axis, of raw features and of those that find near duplicates
_LOCAL, _CONTEXT = (0.2, 0.5), 0.5  # shares of the points in local and context views


class Points(Modality):
    """Point clouds: files (off, ply, obj, stl, glb, pts, xyz, las, npy, npz), or arrays (points, 3 or more).

    Every view has the same number of points, drawn anew from each cloud and moved into the unit sphere. On meshes,
    points are drawn evenly over the surface. Meshes need the extra `points`, as do scans.

    Args:
        points: Points of a view; by default the median of the training rows, at most 512.
        kept: Points stored of a cloud, at most, a random choice; also the number drawn on a mesh.
        windows: Draws whose embeddings are averaged for a cloud.
        normalise: "sphere": each cloud around its mean, with its farthest point at distance 1, so that sizes do not
            count. "dataset": one unit for all rows, so that sizes count.
        normals: Whether the encoder sees normals; by default if all rows store some. `true` also takes those of the
            triangles of meshes.
        colours: Whether the encoder sees colours; by default if all rows store some.
        up: Axis that points up; by default y if most files are .obj or .glb, else z.
        rotate: "up": rotations about that axis. "any": about any axis. "none": no rotation.
        angle: Largest rotation about the axis that points up, in degrees.
        crop: Smallest share of the points, those nearest to a random one, that a view shows; 1 for all.
        scale: Largest stretch along each axis (0.25: by up to a quarter); 0 for none.
        jitter: Standard deviation by which each point moves, in radii of the cloud; 0 for none.
        drop: Largest share of the points that is left out; 0 for none.
        strength: "strong": all changes above. "light": another draw of points alone, for pairs that come from the data
            (a cloud and its picture, labels). "none": no augmentation.
        augmentation: One more, by name, applied last.

    Roles of views:
        global: another draw of points, with all changes above.
        local: the 20 to 50 % of the points nearest to a random one, with all changes but `crop`.
        weak: another draw of points.
        strong: as global, with twice the angle, scale, jitter and drop.
        context: the half of a cloud on one side of a random plane.
        original: no augmentation: always the same points.

    Raises:
        UserError: a setting out of its range, or normals or colours that no row has.

    Example:
        >>> cells = Points.examples(4)
        >>> points = Points(points=128)
        >>> items = [points.read(cell, None) for cell in cells]
        >>> points.fit(items)
        >>> points.preprocess(points.collate([points.pack(item) for item in items])).shape
        torch.Size([4, 3, 128])
    """

    encoder = "pointnet"
    axes = "BCP"
    files = True
    all_flat = (
        "in every cloud all points are the same, so there is nothing to learn from. Check that a cell holds (points, "
        "coordinates)."
    )
    precedence = 25

    def __init__(
        self,
        *,
        points: Annotated[int, Range(1, 1_000_000)] | None = None,
        kept: Annotated[int, Range(1, 10_000_000)] = 2048,
        windows: Annotated[int, Range(1, 1000)] = 1,
        normalise: Literal["sphere", "dataset"] = "sphere",
        normals: bool | None = None,
        colours: bool | None = None,
        up: Axis | None = None,
        rotate: Literal["up", "any", "none"] = "up",
        angle: Annotated[float, Range(0, 180)] = 180.0,
        crop: Annotated[float, Range(0.05, 1)] = 0.5,
        scale: Annotated[float, Range(0, 10)] = 0.25,
        jitter: Annotated[float, Range(0, 1)] = 0.01,
        drop: Annotated[float, Range(0, 1)] = 0.2,
        strength: Literal["strong", "light", "none"] = "strong",
        augmentation: AugmentationChoice | None = None,
    ) -> None:
        self.points, self.kept, self.count, self.normalise = points or 0, kept, windows, normalise
        self._normals, self._colours = normals, colours
        self.up: Axis | None = up
        self.crop, self.changes = crop, Changes(rotate, angle, scale, jitter, drop)
        self.strength, self.augmentation = strength, augmentation_of(augmentation)
        self._layout, self._unit = Layout(), 1.0

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Says why a column holds point clouds, by its cells."""
        return recognise(column)

    def read(self, cell: Any, folder: Path | None) -> Cloud:
        """Decodes one cloud, or draws points on a mesh.

        Args:
            cell: A path, bytes, or an array; `cloud` lists the forms.
            folder: Paths are relative to it.

        Raises:
            Unreadable: with the reason.
        """
        return cloud(cell, folder, self.kept)

    def fit(self, items: Sequence[Any]) -> None:
        """Learns what the columns are, the number of points, which axis points up, and the unit of length."""
        clouds = [item for item in items if isinstance(item, Cloud)]
        if not clouds:
            raise UserError("points: no row could be read; expected point clouds of (points, 3 or more) each.")
        self._layout = layout(clouds, self._normals, self._colours)
        if not self.points:
            self.points = max(1, min(_USUAL, self.kept, int(np.median([len(one.points) for one in clouds]))))
        if self.up is None:
            self.up = "y" if 2 * sum(one.up == "y" for one in clouds) > len(clouds) else "z"
        radii = [float(np.linalg.norm(_centred(one.points), axis=1).max()) for one in clouds]
        self._unit = float(np.quantile(radii, 0.95)) or 1.0

    def pack(self, item: Any) -> np.ndarray:
        """Points around their mean, in random order, at most as many as are kept.

        Returns:
            (N, C) float32, coordinates first.

        Raises:
            Unreadable: a cloud that lacks the normals, colours or other columns of the training rows.
        """
        assert isinstance(item, Cloud)
        columns = self._layout.columns(item)
        columns = np.hstack([_centred(item.points), columns[:, 3:]])
        if np.abs(columns).max() > np.finfo(np.float32).max / 4:
            raise Unreadable("holds numbers that are too large")
        order = np.random.default_rng(len(columns)).permutation(len(columns))[: self.kept]
        return columns[order].astype(np.float32)

    def collate(self, packed: Sequence[Any]) -> Tensor:
        """Pads clouds with NaN to the largest: (B, C, N) float32."""
        batch = np.full((len(packed), self._layout.channels, max(map(len, packed))), np.nan, np.float32)
        for row, points in zip(batch, packed, strict=True):
            row[:, : len(points)] = points.T
        return torch.from_numpy(batch)

    def preprocess(self, batch: Tensor) -> Tensor:
        """The first points of each cloud, which are a random choice that is always the same: (B, C, P)."""
        return self._normalised(sampling.first(batch, self.points))

    def windows(self, batch: Tensor) -> list[Tensor]:
        """Successive choices of points, as many as the setting says."""
        return [self._normalised(sampling.first(batch, self.points, n * self.points)) for n in range(self.count)]

    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """Another choice of points of each cloud, changed by strength and role: (B, C, P)."""
        if role == "original":
            return self.preprocess(batch)
        streams = streams_of(key_B, row_B, step_B)
        if self.strength == "none" and role not in ("local", "context"):
            return applied(self.augmentation, self.preprocess(batch), streams, role)
        strong = self.strength == "strong" and role in ("global", "local", "strong")
        low, high = _LOCAL if role == "local" else (self.crop if strong else 1.0, 1.0)
        share_B = low + (high - low) * random_streams.uniform(key_B, 1)[:, 0]
        share_B = torch.full_like(share_B, _CONTEXT) if role == "context" else share_B
        some = sampling.drawn(
            batch, random_streams.fork(key_B, 1), self.points, share_B, sliced=role == "context"
        )  # fmt: skip
        seen = self._normalised(some)
        if strong:
            changes = self.changes.doubled() if role == "strong" else self.changes
            seen = changes.apply(seen, streams.fork(2), up=self._up, normals="normals" in self._layout.seen)
        return applied(self.augmentation, seen, streams, role)

    def augments(self, role: Role) -> bool:
        """False for "original", and for all but "local" and "context" if the strength is none."""
        off = self.strength == "none" and self.augmentation is None
        return role in ("local", "context") if off else role != "original"

    def raw(self, batch: Tensor) -> Tensor:
        """How the points spread over a grid of 4 x 4 x 4 cells around the cloud: (B, 64)."""
        return occupancy(batch, _GRID)

    def likeness(self, batch: Tensor) -> Tensor:
        """The same for a grid of 8 x 8 x 8 cells: (B, 512)."""
        return occupancy(batch, _FINE)

    def export_entry(self) -> ExportEntry:
        """The points of one view."""
        layout = self._layout
        return PointsEntry(self._normalised, points=self.points, channels=layout.channels, words=layout.words)

    def is_flat(self, packed: Any) -> bool:
        """Whether all points are the same."""
        return bool((packed[:, :3] == packed[:1, :3]).all())

    def dimensions(self, lengths: np.ndarray) -> str:
        """Points of rows."""
        return span(lengths, "points")

    def remarks(self, rows: Rows) -> list[Remark]:
        """Points that are not finite, copies, planes, strays, and clouds smaller than a view."""
        return remarks(rows, self.points)

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Balls, boxes, tubes and rings."""
        return [body(number) for number in range(n)]

    def show(self, packed: Any) -> str:
        """A picture from three sides."""
        return self._picture(packed, f"{len(packed):,} points from three sides")

    def look(self, view: Tensor) -> str:
        """A picture of what the encoder saw from three sides."""
        return self._picture(view.float().cpu().numpy().T, f"view of {view.shape[-1]:,} points from three sides")

    def facts(self) -> Mapping[str, Any]:
        """Channels of a point and points of a view, for the encoder."""
        return {"channels": self._layout.channels, "points": self.points}

    def note(self) -> str:
        """Says how many points a view has, what they are made of, and which axis points up."""
        return f"views of {self.points:,} points with {self._layout.words}, {self._up} up"

    def state(self) -> dict[str, Any]:
        """Number of points, axis that points up, unit of length and columns."""
        return {"points": self.points, "up": self.up, "unit": self._unit, "layout": self._layout.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.points, self.up, self._unit = state["points"], state["up"], state["unit"]
        self._layout = Layout.restored(state["layout"])

    @property
    def _up(self) -> Axis:
        return self.up or "z"

    def _normalised(self, x: Tensor) -> Tensor:
        """Points (B, C, P) around their mean, in radii of the cloud or of the training rows."""
        if self.normalise == "sphere":
            return sampling.on_sphere(x)
        places = x[:, :3] - x[:, :3].mean(2, keepdim=True)
        return torch.cat([places / self._unit, x[:, 3:]], 1)

    def _picture(self, points: np.ndarray, words: str) -> str:
        seen = self._layout.seen
        start = 6 if "normals" in seen else 3
        colours = (points[:, start : start + 3] + 1) / 2 if "colours" in seen else None
        return preview.picture(points[:, :3], up=self._up, colours=colours, words=words)


def _centred(points: np.ndarray) -> np.ndarray:
    """(N, 3) coordinates around their mean."""
    return points[:, :3] - points[:, :3].mean(0)
