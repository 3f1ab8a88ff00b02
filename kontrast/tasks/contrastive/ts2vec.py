"""TS2Vec: an instant of a series is the same instant in another crop of it, at every scale of time."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.random_streams import drawn, share
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.losses.hierarchical import hierarchical
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.overlapping_crops import DRAWS, crops_of, cut, ends, hidden
from kontrast.tasks.task import Output, Task
from kontrast.tasks.task_streams import TaskStreams


class TS2Vec(Task):
    """Contrasts two overlapping crops of each series, instant by instant, at every scale of time.

    Take it for series whose instants differ in meaning (activities, machine states), or if every instant needs a
    vector. Of each crop some instants are hidden. Where the crops overlap, the vectors of an instant in both are
    positives; negatives are other series at that instant, and other instants of the series. There is no head. The
    served embedding is the encoder's.

    How long crops are is drawn per step, as a share of the length of each series; where they lie is drawn per row.

    Args:
        encoders: Facts of the encoder, which gives one vector per instant.
        alpha: Weight of the contrast among series, 0 to 1; the rest is that among instants. 0.5 as in the paper.
        hide: Probability that an instant of a crop is hidden. 0.5 as in the paper.

    Raises:
        UserError: The field is no series, its encoder gives no vector per instant, or a setting is outside its range.

    Equation:
        `kontrast.losses.hierarchical`

    Reference:
        Yue et al. 2022, arXiv:2106.10466.

    Example:
        >>> info = EncoderInfo({"ecg": 320}, dense={"ecg": 320}, modalities={"ecg": "series"})
        >>> TS2Vec(info).views()
        {'ecg': ViewSpec(field='ecg', role='original', augmentation=None, mixing=None)}
    """

    max_fields = 1
    uses = frozenset({"dense"})

    def __init__(self, encoders: EncoderInfo, *, alpha: float = 0.5, hide: float = 0.5) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        encoders.expect_axes(self.field, "BCT", "task 'ts2vec' contrasts instants of series")
        for name, value in (("alpha", alpha), ("hide", hide)):
            if not 0 <= value <= 1:
                raise UserError(f"task 'ts2vec': {name}={value}; expected a number from 0 to 1.")
        self.alpha, self.hide, self.streams = alpha, hide, TaskStreams()
        self.relation = SameKey("id") & ExcludeDuplicates(f"content {self.field}")
        self.draws = [1 << 23] * DRAWS

    def begin(self, clock: Clock) -> None:
        """Draws how long the crops of the step are."""
        self.streams.begin(clock)
        self.draws = self.streams.of_step(DRAWS)

    def views(self) -> dict[str, ViewSpec]:
        """The field without augmentation, which the task cuts itself."""
        return {self.field: ViewSpec(self.field, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Vectors of the instants that both crops have, (B, P, E), by either crop; `mask` says which exist."""
        x, ids, here = batch.views[self.field].data, batch.keys["id"], batch.keys[f"has {self.field}"]
        longest, crops = crops_of(self.draws, x.shape[-1]), crops_of(self.draws, ends(x))
        start = share(drawn(self.streams.of_rows(ids, 0), 1)[:, 0], crops.room + 1)
        sides = {
            "left": (start, crops.left, longest.left, crops.lead),
            "right": (start + crops.lead, crops.right, longest.right, torch.zeros_like(start)),
        }
        found = {}
        for number, (side, (begin, width, most, first)) in enumerate(sides.items(), 1):
            crop = hidden(cut(x, begin, width, most), width, self.streams.of_rows(ids, number), self.hide)
            features = encoders(Batch({side: View(self.field, crop)}, batch.keys), [side])[side]
            dense, exists = self._instants(features, most, here)
            at = first[:, None] + torch.arange(longest.overlap, device=x.device)
            mask = (at < (first + crops.overlap)[:, None]) & here[:, None]
            at = at.clamp_max(most - 1)
            z = dense.gather(1, at[..., None].expand(-1, -1, dense.shape[2]))
            found[side] = Output(z, self.field, {"mask": mask & exists.gather(1, at)})
        return found

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Both crops of this rank's rows, against those of all ranks."""
        return hierarchical(out["left"], out["right"], self.relation, ranks=ranks, alpha=self.alpha)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The maximum over the overlap, by either crop."""
        here = out["left"].keys[f"has {self.field}"]
        return [(_highest(out["left"])[here], _highest(out["right"])[here])]

    def _instants(self, features: Features, width: int, here: Tensor) -> tuple[Tensor, Tensor]:
        """A vector per instant of the crops, and which instants exist."""
        dense, mask = features.dense, features.mask
        if dense is not None and not bool(here.any()):  # no encoder saw a row
            dense, mask = dense.new_zeros(len(here), width, dense.shape[2]), None
        if dense is None or dense.shape[1] != width:
            found = "none" if dense is None else f"{dense.shape[1]} for {width} instants"
            raise UserError(
                f"task 'ts2vec' needs a vector per instant; the encoder of '{self.field}' gave {found}. Take one "
                f"that merges no instants: --encoder {self.field}=dilated_cnn, or {self.field}=tcn,stride=1."
            )
        return dense, dense.new_ones(dense.shape[:2], dtype=torch.bool) if mask is None else mask


def _highest(rows: Embeddings) -> Embeddings:
    mask = rows.keys["mask"][..., None]
    highest = rows.z.masked_fill(~mask, -math.inf).amax(1).masked_fill(~mask.any(1), 0.0)
    return Embeddings(highest, {name: key for name, key in rows.keys.items() if name != "mask"})
