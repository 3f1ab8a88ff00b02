"""VICReg, Barlow Twins and W-MSE: views agree without negatives, and embeddings do not collapse."""

import itertools
from collections.abc import Mapping

from torch import nn

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.head import Head
from kontrast.tasks.parts import LossChoice, alignment_loss, having_both, where_present
from kontrast.tasks.task import Output, Task


class Alignment(Task):
    """Aligns two views of each sample, or every two fields of a row, without negatives.

    With one field, its two views are aligned; with several, every two fields of a row that has both. The expander
    (head) is used in training only; the encoder's output is served.

    Args:
        encoders: Facts of the encoders.
        loss: A loss over aligned pairs: `vicreg` (default), `barlow_twins`, `wmse` ...
        hidden: Width of the expander's hidden layers.
        width: Width of the compared embeddings; W-MSE needs more rows per batch than that.
        layers: Number of linear layers of the expander.
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        loss: LossChoice = Choice("vicreg"),
        hidden: int = 1024,
        width: int = 1024,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.width, self.loss = width, alignment_loss(loss)
        self.networks = {field: encoders.network(field) for field in encoders.fields}
        self.heads = nn.ModuleDict(
            {
                network: Head(in_width=encoders.widths[field], hidden=hidden, width=width, layers=layers)
                for field, network in self.networks.items()
            }
        )
        self.pairs = list(itertools.combinations(self.views(), 2))

    def views(self) -> dict[str, ViewSpec]:
        """Two views of the one field, or each field once."""
        fields = list(self.networks)
        if len(fields) > 1:
            return {field: ViewSpec(field) for field in fields}
        return {f"{fields[0]}.{n}": ViewSpec(fields[0]) for n in (1, 2)}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Expanded embeddings of each view, zeros for rows that lack the field."""
        found, fields = {}, {name: spec.field for name, spec in self.views().items()}
        for name, features in encoders(batch, fields).items():
            head, here = self.heads[self.networks[fields[name]]], batch.keys[f"has {fields[name]}"]
            z = where_present(head, features.pooled, here, self.width, together=encoders.together)
            found[name] = Output(z, name)
        return found

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss of each pair of views, over the rows that have both."""
        terms = {}
        for a, b in self.pairs:
            one, two = self._both(out, a, b)
            if self.loss.whole:
                everyone = ranks.gather({"one": one, "two": two})
                one, two = everyone["one"], everyone["two"]
            if len(one) > 1:
                terms[f"{a}~{b}"] = (1 / len(self.pairs)) * self.loss(one, two)
        if not terms:
            raise UserError("no two rows of this batch have both fields of a pair; take larger batches.")
        return terms

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Both views of each pair."""
        return [self._both(out, a, b) for a, b in self.pairs]

    def _both(self, out: Mapping[str, Embeddings], a: str, b: str) -> tuple[Embeddings, Embeddings]:
        views = self.views()
        return having_both(out[a], out[b], (views[a].field, views[b].field))
