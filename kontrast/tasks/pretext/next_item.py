"""Next item: the state after each item of a sequence is contrasted with the items of the batch."""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.parts import kernel_of
from kontrast.tasks.task import Output, Task


class NextItem(Task):
    """Predicts the item that follows each item of a sequence, among all different items of the batch.

    Take it for recommendation from histories, alone (SASRec) or beside a contrast of augmented histories (CL4SRec). The
    paper's SASRec has one random negative per item; here all other items of the batch are negatives, which a batch of
    some hundred rows makes most of the catalogue. The state after a row's last item is served, and recommends the items
    whose vectors have the largest inner product with it.

    Args:
        encoders: Facts of the encoder, which gives states and vectors of items (`sasrec`).
        temperature: Of the inner products; 1 as in the paper.

    Raises:
        UserError: A field that holds no sequences of items, or an encoder without vectors of items.

    Equation:
        L = mean_t -log exp(h_t . e_{t+1} / T) / sum_{i in batch} exp(h_t . e_i / T)

    Reference:
        Kang, McAuley 2018, arXiv:1808.09781; the contrast beside it: Xie et al. 2022, arXiv:2010.14395.

    Example:
        >>> facts = {"h": {"vocabulary": 9, "special": (0, 1)}}
        >>> info = EncoderInfo({"h": 64}, {"h": 128}, modalities={"h": "history"}, facts=facts)
        >>> NextItem(info).views()
        {'h': ViewSpec(field='h', role='original', augmentation=None, mixing=None)}
    """

    max_fields = 1
    uses = frozenset({"dense"})

    def __init__(self, encoders: EncoderInfo, *, temperature: Annotated[float, Range(1e-3)] = 1.0) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        self.width, dense = encoders.widths[self.field], encoders.dense.get(self.field)
        if encoders.modalities.get(self.field) != "history" or dense != 2 * self.width:
            raise UserError(
                f"task 'next_item' takes sequences of items and the encoder sasrec; found '{self.field}', a field of "
                f"{encoders.modalities.get(self.field) or 'unknown kind'} with {dense or 'no'} features per position."
            )
        self.first = len(encoders.facts[self.field]["special"])  # numbers below are no items
        self.relation, self.loss, self.temperature = SameKey("item"), InfoNCE(), temperature
        self.kernel = kernel_of(Choice("dot"), temperature=1.0, width=self.width)

    def views(self) -> dict[str, ViewSpec]:
        """The field without augmentation."""
        return {self.field: ViewSpec(self.field, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """States beside vectors of items, (B, L, 2 D), and the key `number` of each item, -1 where there is none."""
        x, here = batch.views[self.field].data, batch.keys[f"has {self.field}"]
        features = encoders(batch, [self.field])[self.field]
        assert features.dense is not None
        number = x.masked_fill((x < self.first) | ~here[:, None], -1)
        return {self.field: Output(features.dense, self.field, {"number": number})}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """States of this rank against the different items of all ranks."""
        rows = out[self.field]
        number, state, item = rows.keys["number"], *rows.z.split(self.width, 2)
        at = (number[:, 1:] >= 0) & (number[:, :-1] >= 0)
        states = _rows(state[:, :-1][at] / self.temperature, number[:, 1:][at], 0)
        everyone = ranks.gather({"": _different(_rows(item[number >= 0], number[number >= 0], 1))})[""]
        return {"next": contrast(states, _different(everyone), self.relation, loss=self.loss, kernel=self.kernel)}

    def scores(self, features: Features, items_ND: Tensor) -> Tensor:
        """How well each item follows each row, (B, N): inner products with the state after the last item."""
        return features.pooled @ items_ND.T

    def vectors(self, features: Features) -> Tensor:
        """Vectors of items from dense features (B, L, 2 D) of the encoder: (B, L, D)."""
        assert features.dense is not None
        return features.dense[..., self.width :]


def _rows(z_ND: Tensor, item_N: Tensor, view: int) -> Embeddings:
    """Rows by the number of their item; states and items differ in `view`, since an anchor never meets itself."""
    return Embeddings(z_ND, {"id": item_N, "view": torch.full_like(item_N, view), "item": item_N})


def _different(rows: Embeddings) -> Embeddings:
    """One row per item, since equal items have equal vectors."""
    numbers, place = rows.keys["item"].unique(return_inverse=True)
    first = torch.full_like(numbers, len(place))
    first.scatter_reduce_(0, place, torch.arange(len(place), device=place.device), "amin")
    return rows[first]
