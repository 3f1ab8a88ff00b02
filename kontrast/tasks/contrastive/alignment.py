"""VICReg, Barlow Twins and W-MSE: views agree without negatives, and embeddings do not collapse."""

import itertools
from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.layers.head import Head
from kontrast.layers.towers import Towers
from kontrast.tasks.parts import LossChoice, alignment_loss, having_both, where_present
from kontrast.tasks.task import Task


class Alignment(Task):
    """Aligns two views of each sample, or every two fields of a row, without negatives.

    With one field, its two views are aligned; with several, every two fields of a row that has both. The expander
    (head) is used in training only; the encoder's output is served.

    Args:
        towers: The encoders.
        loss: A loss over aligned pairs: `vicreg` (default), `barlow_twins`, `wmse` ...
        hidden: Width of the expander's hidden layers.
        width: Width of the compared embeddings; W-MSE needs more rows per batch than that.
        layers: Number of linear layers of the expander.
    """

    def __init__(
        self,
        towers: Towers,
        *,
        loss: LossChoice = Choice("vicreg"),
        hidden: int = 1024,
        width: int = 1024,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.towers, self.width, self.loss = towers, width, alignment_loss(loss)
        fields = list(towers.tower_of)
        self.heads = nn.ModuleDict(
            {
                tower: Head(in_width=encoder.width, hidden=hidden, width=width, layers=layers)
                for tower, encoder in ((towers.tower_of[f], towers.encoder(f)) for f in fields)
            }
        )
        self.pairs = list(itertools.combinations(self.draws(), 2))

    def draws(self) -> dict[str, str]:
        """Two views of the one field, or each field once."""
        fields = list(self.towers.tower_of)
        return {f: f for f in fields} if len(fields) > 1 else {f"{fields[0]}.{n}": fields[0] for n in (1, 2)}

    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Expanded embeddings of each view, zeros for rows that lack the field."""
        fields, out = self.draws(), {}
        for name, x in views.items():
            project, here = partial(self._project, fields[name]), keys[f"has {fields[name]}"]
            out[name] = where_present(project, x, here, self.width, together=self.together)
        return out

    def compare(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss of each pair of views, over the rows that have both."""
        terms = {}
        for a, b in self.pairs:
            one, two = self._both(rows, a, b)
            if self.loss.whole:
                everyone = ranks.gather({"one": one, "two": two})
                one, two = everyone["one"], everyone["two"]
            if len(one) > 1:
                terms[f"{a}~{b}"] = (1 / len(self.pairs)) * self.loss(one, two)
        if not terms:
            raise UserError("no two rows of this batch have both fields of a pair; take larger batches.")
        return terms

    def embed(self, field: str, x: Tensor) -> Tensor:
        """The encoder's output."""
        return self.towers(field, x)

    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Both views of each pair."""
        return [self._both(rows, a, b) for a, b in self.pairs]

    def _both(self, rows: Mapping[str, Embeddings], a: str, b: str) -> tuple[Embeddings, Embeddings]:
        fields = self.draws()
        return having_both(rows[a], rows[b], (fields[a], fields[b]))

    def _project(self, field: str, x: Tensor) -> Tensor:
        return self.heads[self.towers.tower_of[field]](self.towers(field, x))
