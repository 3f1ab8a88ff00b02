"""Masked prediction: parts of a row are hidden, and predicted from what surrounds them."""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import nn

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.tasks.task import Output, Task
from kontrast.tasks.task_streams import TaskStreams


class Masked(Task):
    """Predicts hidden tokens of texts, instants of series, or patches of images.

    Take it alone for data without labels, or beside a contrast. The head reads the dense features of a hidden position
    beside the pooled ones, so that these learn too, and encoders without context (`tokens`) can predict. The served
    embedding is the pooled one.

    Hidden tokens become the tokenizer's mask token, or a random token if it has none; instants become gaps, 8 at a
    time; patches are 16 cells per image, shown in the mean colour. Only hidden positions have a loss.

    Args:
        encoders: Facts of the encoder, which gives one vector per position.
        share: Share of a row that is hidden. None: 0.15 of tokens as in BERT, 0.3 of instants, 0.5 of patches (MAE:
            0.75, of a transformer).
        hidden: Width of the head's hidden layer.

    Raises:
        UserError: A field of another modality, or an encoder without dense features.

    Equation:
        L = -log softmax(s)_token; of instants and patches mean_c (s_c - x_c)^2

    Reference:
        Devlin et al. 2019, arXiv:1810.04805 (BERT); He et al. 2022, arXiv:2111.06377 (MAE).

    Example:
        >>> info = EncoderInfo({"ecg": 64}, {"ecg": 32}, modalities={"ecg": "series"}, facts={"ecg": {"channels": 2}})
        >>> Masked(info).share
        0.3
    """

    max_fields = 1
    uses = frozenset({"dense"})

    def __init__(
        self, encoders: EncoderInfo, *, share: Annotated[float, Range(1e-3, 0.99)] | None = None, hidden: int = 256
    ) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        modality, dense = encoders.modality(self.field), encoders.dense.get(self.field)
        masking = modality and modality.masking()
        if masking is None or not dense:
            raise UserError(
                "task 'masked' takes fields that can be masked, such as texts, and an encoder that gives a vector per "
                f"part; found '{self.field}', a field of {encoders.modalities.get(self.field) or 'unknown kind'} with "
                f"{dense or 'no'} features per part."
            )
        self.masking, self.facts, self.streams = masking, encoders.facts[self.field], TaskStreams()
        self.tokens, self.share = masking.tokens, share or masking.share
        before = nn.Linear(dense + encoders.widths[self.field], hidden)
        self.head = nn.Sequential(before, nn.GELU(), nn.LayerNorm(hidden))
        self.predict = nn.Linear(hidden, self.masking.values(self.facts))

    def views(self) -> dict[str, ViewSpec]:
        """The field, lightly augmented; texts as they are."""
        return {self.field: ViewSpec(self.field, self.masking.role)}

    def begin(self, clock: Clock) -> None:
        """Goes on to the draws of the step."""
        self.streams.begin(clock)

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Hidden layer of the head at each position, (B, P, hidden); keys `hidden` and `wanted` beside it."""
        stream, here = self.streams.of_rows(batch.keys["id"], 0), batch.keys[f"has {self.field}"]
        data, hidden, wanted = self.masking.hide(batch.views[self.field].data, stream, self.share, self.facts)
        seen = encoders(Batch({self.field: View(self.field, data)}, batch.keys), [self.field])[self.field]
        assert seen.dense is not None
        dense = self.masking.place(seen.dense, hidden.shape[1])
        z = self.head(torch.cat([dense, seen.pooled[:, None].expand(-1, dense.shape[1], -1)], 2))
        return {self.field: Output(z, self.field, {"hidden": hidden & here[:, None], "wanted": wanted})}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Error at the hidden positions of this rank's rows."""
        rows = out[self.field]
        at = rows.keys["hidden"]
        found, wanted, count = self.predict(rows.z[at]), rows.keys["wanted"][at], exact(at.sum())
        if self.tokens:
            loss = F.cross_entropy(found, wanted, reduction="sum")
            return {"tokens": LossTerm(loss, count, chance=count * math.log(found.shape[1]))}
        errors, level = ((x - wanted).square().mean(1).sum() for x in (found, torch.zeros_like(wanted)))
        return {"values": LossTerm(errors, count, chance=level)}
