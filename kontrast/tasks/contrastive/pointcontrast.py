"""PointContrast: a point of a cloud is the same point in another part of it, turned and stretched otherwise."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.factory import WHOLE, Range
from kontrast.core.random_streams import Streams
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.head import Head
from kontrast.losses.bidirectional import mutual
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.modalities.points.changes import Changes
from kontrast.modalities.points.sampling import on_sphere, places
from kontrast.tasks.parts import where_present
from kontrast.tasks.task import Output, Task
from kontrast.tasks.task_streams import TaskStreams

_SIDES = ("one", "two")


class PointContrast(Task):
    """Contrasts points that two overlapping parts of a cloud have in common, among the points of all clouds.

    Take it if each point needs a vector (segmentation of parts, registration). Two parts are cut around random points
    and turned, stretched and jittered by themselves. Negatives are other common points, of the same cloud too. The
    encoder's output is served, pooled over the points.

    Args:
        encoders: Facts of the encoder, which gives one vector per point.
        part: Share of the points in either part. Two of 0.7 have 40 % in common or more.
        matches: Common points that are compared per cloud, at most; 4,096 per batch in the paper.
        temperature: Temperature of the cosine; 0.07 as in the paper.
        rotate: "any": any attitude; an axis: rotations about it; "none": no rotation.
        scale: Largest stretch along each axis; 0 for none.
        jitter: Standard deviation by which each point moves, in radii; 0 for none.
        normals: Whether channels 3 to 5 are normals, which turn too.
        hidden: Width of the hidden layer of the head; 0 for a linear head.
        width: Width of the compared vectors; 32 as in the paper.

    Raises:
        UserError: The field holds no points, or its encoder gives no vector per point.

    Equation:
        L = -1/M sum_m log(e^(a_m b_m / t) / sum_k e^(a_m b_k / t)), a_m and b_m the cosine-normalised vectors of match
        m in either part; the mean of both directions.

    Reference:
        Xie et al. 2020, arXiv:2007.10985.

    Example:
        >>> info = EncoderInfo({"shape": 64}, dense={"shape": 64}, modalities={"shape": "points"})
        >>> PointContrast(info).views()
        {'shape': ViewSpec(field='shape', role='weak', augmentation=None, mixing=None)}
    """

    max_fields = 1
    uses = frozenset({"dense"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        part: Annotated[float, Range(0.1, 1)] = 0.7,
        matches: Annotated[int, Range(1, WHOLE)] = 64,
        temperature: float = 0.07,
        rotate: Literal["any", "x", "y", "z", "none"] = "any",
        scale: Annotated[float, Range(0, 10)] = 0.25,
        jitter: Annotated[float, Range(0, 1)] = 0.01,
        normals: bool = False,
        hidden: int = 0,
        width: int = 32,
    ) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        encoders.expect_axes(
            self.field,
            "BCP",
            "task 'pointcontrast' contrasts points of clouds",
            " For other fields take --recipe densecl.",
        )
        features = encoders.dense.get(self.field) or 0
        if not features:
            raise UserError(
                f"task 'pointcontrast' needs a vector per point; the encoder of '{self.field}' gives none. Take "
                f"--encoder {self.field}=pointnet or {self.field}=dgcnn."
            )
        self.part, self.matches, self.normals = part, matches, normals
        self.up: Literal["x", "y", "z"] = "z" if rotate in ("any", "none") else rotate
        turn = rotate if rotate in ("any", "none") else "up"
        self.changes = Changes(rotate=turn, scale=scale, jitter=jitter)
        self.head = Head(in_width=features, hidden=hidden or None, width=width, layers=2 if hidden else 1, norm="none")
        self.kernel, self.loss, self.streams = Cosine(temperature=temperature), InfoNCE(), TaskStreams()
        self.relation = SameKey("point") & ExcludeDuplicates(f"content {self.field}")

    def begin(self, clock: Clock) -> None:
        """Goes on to the streams of the step."""
        self.streams.begin(clock)

    def views(self) -> dict[str, ViewSpec]:
        """The field with other points in each epoch; the task cuts and changes them itself."""
        return {self.field: ViewSpec(self.field, "weak")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Vectors of the common points in either part, (B, M, D), with the number of each point; `mask`: they exist."""
        x, ids, here = batch.views[self.field].data, batch.keys["id"], batch.keys[f"has {self.field}"]
        count = max(1, math.ceil(self.part * x.shape[2]))
        share_B = torch.full((len(x),), self.part, device=x.device)
        parts = [places(x, self.streams.of_rows(ids, n), count, share_B) for n in range(2)]
        point, mask, found_at = self._common(parts, x.shape[2], self.streams.of_rows(ids, 2))
        mask = mask & here[:, None]
        found = {}
        for n, (side, at, where) in enumerate(zip(_SIDES, parts, found_at, strict=True)):
            crop = on_sphere(x.gather(2, at[:, None].expand(-1, x.shape[1], -1)))
            key = self.streams.of_rows(ids, 3 + n)
            crop = self.changes.apply(crop, Streams(key, key, key), up=self.up, normals=self.normals)
            features = encoders(Batch({side: View(self.field, crop)}, batch.keys), [side])[side].dense
            assert features is not None
            if not bool(here.any()):  # no encoder saw a row
                features = features.new_zeros(len(here), count, features.shape[2])
            each = features.gather(1, where[..., None].expand(-1, -1, features.shape[2])).flatten(0, 1)
            z = where_present(self.head, each, mask.flatten(), self.head.width, together=encoders.together)
            found[side] = Output(z.view(*mask.shape, -1), self.field, {"mask": mask, "point": point})
        return found

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Both directions, over the common points of all ranks."""
        here = {side: _points(out[side], number) for number, side in enumerate(_SIDES)}
        everyone = ranks.gather(here)
        among = everyone["one"], everyone["two"]
        one, two = here["one"], here["two"]
        terms = mutual(one, two, self.relation, loss=self.loss, kernel=self.kernel, everyone=among)
        return {f"from {side}": 0.5 * term for side, term in zip(_SIDES, terms, strict=True)}

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The mean over the common points, by either part, for the rows that have the field."""
        here = out["one"].keys[f"has {self.field}"]
        return [(_mean(out["one"])[here], _mean(out["two"])[here])]

    def _common(self, parts: list[Tensor], points: int, key_B: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Numbers of common points (B, M), which of them exist, and their places in either part."""
        rows, count = parts[0].shape
        inverse = [
            torch.full((rows, points), -1, device=at.device).scatter(
                1, at, torch.arange(count, device=at.device).expand(rows, -1)
            )
            for at in parts
        ]  # fmt: skip
        both = (inverse[0] >= 0) & (inverse[1] >= 0)
        order = random_streams.uniform(key_B, points).to(both.device).masked_fill(~both, 2.0)
        point = order.argsort(dim=1, stable=True)[:, : min(self.matches, points)]
        mask = both.gather(1, point)
        return point, mask, [one.gather(1, point).clamp_min(0) for one in inverse]


def _points(rows: Embeddings, side: int) -> Embeddings:
    """Each common point as a row of its own, known by its sample and its number."""
    mask, number = rows.keys["mask"], rows.keys["point"]
    point = random_streams.mix(rows.keys["id"][:, None] ^ random_streams.mix(number + 1))
    view = torch.full_like(number, side) + 2 * number
    kept = {name: key for name, key in rows.keys.items() if name not in ("mask", "point", "view")}
    keys = {name: key[:, None].expand(*mask.shape, *key.shape[1:])[mask] for name, key in kept.items()}
    return Embeddings(rows.z[mask], {**keys, "point": point[mask], "view": view[mask]})


def _mean(rows: Embeddings) -> Embeddings:
    mask = rows.keys["mask"][..., None]
    mean = (rows.z * mask).sum(1) / mask.sum(1).clamp_min(1)
    return Embeddings(mean, {name: key for name, key in rows.keys.items() if name not in ("mask", "point")})
