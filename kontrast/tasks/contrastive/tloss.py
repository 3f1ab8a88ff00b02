"""T-Loss: a sub-series is like a part of itself, and unlike sub-series of other rows."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.factory import WHOLE, Range
from kontrast.core.random_streams import drawn, share
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.tasks.one_field import OneField
from kontrast.tasks.overlapping_crops import cut, ends
from kontrast.tasks.parts import where_present
from kontrast.tasks.task import Output
from kontrast.tasks.task_streams import TaskStreams


class TLoss(OneField):
    """Contrasts a random sub-series of a row with a part of it, and with random sub-series of other rows.

    Take it for series that keep their character over time, of equal or unequal length; nothing is augmented. If
    instants of a series differ in meaning, take `ts2vec`. The reference of a row is a random sub-series, its positive a
    random part of the reference. Each row also gives one random sub-series as a negative; a reference meets those of
    random other rows of the batch. Duplicates are no negatives. The encoder's output is evaluated and served.

    How long the three are is drawn per step, as a share of the length of each series; where they lie is drawn per row.

    Args:
        encoders: Facts of the encoder of the one field.
        negatives: Negatives of each reference, drawn with repetition; 10 in the paper's main results.
        negative_weight: Weight of each negative beside the positive. None: 1 / negatives, as in the authors' code; 1
            in the paper's equation.
        width: Width of the compared embeddings, by a linear layer; 160 as in the paper.

    Raises:
        UserError: The field is no series.

    Equation:
        L = mean_i -log s(z_i z_i+) - w sum_k log s(-z_i z_k-), s the logistic function, k over K random rows.

    Reference:
        Franceschi, Dieuleveut, Jaggi 2019, arXiv:1901.10738.

    Example:
        >>> TLoss(EncoderInfo({"ecg": 320}, modalities={"ecg": "series"})).views()
        {'ecg': ViewSpec(field='ecg', role='original', augmentation=None, mixing=None)}
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        negatives: Annotated[int, Range(1, WHOLE)] = 10,
        negative_weight: Annotated[float, Range(0)] | None = None,
        width: int = 160,
    ) -> None:
        super().__init__(encoders, views=1, hidden=0, width=width)
        encoders.expect_axes(self.field, "BCT", "task 'tloss' contrasts parts of series")
        self.negatives, self.content = negatives, f"content {self.field}"
        self.each = 1 / negatives if negative_weight is None else negative_weight
        self.streams, self.draws = TaskStreams(), [1 << 23] * 3

    def begin(self, clock: Clock) -> None:
        """Draws how long the sub-series of the step are."""
        self.streams.begin(clock)
        self.draws = self.streams.of_step(3)

    def views(self) -> dict[str, ViewSpec]:
        """The field without augmentation, which the task cuts itself."""
        return {self.field: ViewSpec(self.field, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Embeddings of the reference, the positive and the negative of each row."""
        x, here = batch.views[self.field].data, batch.keys[f"has {self.field}"]
        length, place = ends(x), drawn(self.streams.of_rows(batch.keys["id"], 0), 3).T
        reference, positive, negative = self.lengths(length)
        start = share(place[0], length - reference + 1)
        starts = {
            "reference": (start, reference),
            "positive": (start + share(place[1], reference - positive + 1), positive),
            "negative": (share(place[2], length - negative + 1), negative),
        }
        views = {  # the longest series of the batch has the longest parts
            name: View(self.field, cut(x, begin, wide, most))
            for (name, (begin, wide)), most in zip(starts.items(), self.lengths(x.shape[-1]), strict=True)
        }
        found = {}
        for name, view in views.items():
            features = encoders(Batch({name: view}, batch.keys), [name])[name]
            z = where_present(self.head, features.pooled, here, self.head.width, together=encoders.together)
            found[name] = Output(z, self.field)
        return found

    def lengths(self, length: Any) -> tuple[Any, Any, Any]:
        """Instants of reference, positive and negative in series of a length: a whole number or a tensor of them."""
        positive = 1 + share(self.draws[0], length)
        return positive + share(self.draws[1], length - positive + 1), positive, 1 + share(self.draws[2], length)

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """References of this rank, each with its positive and with negatives of rows of all ranks."""
        [(ours, positive)] = self.positive_pairs(out)
        everyone = ranks.gather({"": self.having(out["negative"])})[""]
        at = self.chosen(ours.keys["id"], everyone.keys["id"])
        differ = torch.stack([ours.keys[k][:, None] != everyone.keys[k][at] for k in ("id", self.content)]).all(0)
        alike = (ours.z * positive.z).sum(1)
        unlike = torch.einsum("nd,nkd->nk", ours.z, everyone.z[at])
        total = softplus(-alike).sum() + self.each * (softplus(unlike) * differ).sum()
        count, met = (exact(total.new_tensor(float(n))) for n in (len(ours), int(differ.sum())))
        return {"contrast": LossTerm(total, count, negatives=met, chance=math.log(2) * (count + self.each * met))}

    def chosen(self, ids: Tensor, everyone: Tensor) -> Tensor:
        """Random other rows of each row, by their places among `everyone`: (n, K), the same on any number of ranks."""
        rows, order = max(len(everyone), 1), everyone.argsort()
        own = torch.searchsorted(everyone[order], ids)
        others = share(drawn(self.streams.of_rows(ids, 1), self.negatives), max(rows - 1, 1))
        return order[(own[:, None] + 1 + others) % rows]

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """References with their positives."""
        return [(self.having(out["reference"]), self.having(out["positive"]))]
