"""CoSENT and AnglE: similarities of two fields follow the order of gold scores."""

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.layers.head import Head
from kontrast.layers.towers import Towers
from kontrast.losses.pairwise.cosent import CoSENT
from kontrast.tasks.parts import LossChoice, alignment_loss, having_both, known, where_present
from kontrast.tasks.task import Task

PROJECTED = 256  # width of the shared space if the two fields have different encoders


class Scored(Task):
    """Learns from two fields of a row and a score of their similarity.

    Take it for data such as STS-B: two texts and a score. Without scores, `clip` learns from the pairs alone. The gold
    scores of held-out and validation rows are not used in training, but for evaluation (Spearman's correlation).

    Args:
        towers: The encoders of the two fields.
        loss: A loss over aligned pairs that reads the key "score": `cosent` (default) or `angle`.
        cosine: Weight of an additional CoSENT term, as AnglE's authors add one; the served embeddings are compared by
            cosine.
        width: Width of a linear map into the shared space; None: no map if both fields share an encoder, else 256.

    Raises:
        UserError: not exactly two fields, or a negative `cosine`.

    Reference:
        CoSENT: Huang et al. 2024, "CoSENT: consistent sentence embedding via similarity ranking", TASLP 32; AnglE: Li &
            Li 2023, arXiv:2309.12871.
    """

    shared = True
    fewest = 2
    most = 2
    needs = frozenset({"score"})
    strength = "light"

    def __init__(
        self,
        towers: Towers,
        *,
        loss: LossChoice = Choice("cosent"),
        cosine: float = 0.0,
        width: int | None = None,
    ) -> None:
        super().__init__()
        fields = list(towers.tower_of)
        if len(fields) != 2:
            raise UserError(f"method 'scored' compares two fields of a row; found {', '.join(fields)}.")
        if cosine < 0:
            raise UserError(f"method 'scored': cosine={cosine:g}; expected a weight of 0 or more.")
        self.towers, self.loss, self.cosine = towers, alignment_loss(loss), cosine
        self.beside = CoSENT()
        used = set(towers.tower_of.values())
        width = width or (PROJECTED if len(used) > 1 else None)
        self.heads = nn.ModuleDict(
            {
                towers.tower_of[field]: Head(in_width=towers.width(field), hidden=None, width=width, layers=1)
                for field in fields
                if width
            }
        )
        self.width = width or towers.width(fields[0])

    def draws(self) -> dict[str, str]:
        """Both fields, each once."""
        return {field: field for field in self.towers.tower_of}

    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Embeddings of each field, zeros for rows that lack it."""
        out = {}
        for field, x in views.items():
            embed, here = partial(self.embed, field), keys[f"has {field}"]
            out[field] = where_present(embed, x, here, self.width, together=self.together)
        return out

    def compare(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss over the rows of all ranks that have both fields and a score."""
        one, two = (known(side, self.needs) for side in self._both(rows))
        everyone = ranks.gather({"one": one, "two": two}) if self.loss.whole else {"one": one, "two": two}
        terms = {"scored": self.loss(everyone["one"], everyone["two"])}
        if self.cosine:
            terms["cosine"] = self.cosine * self.beside(everyone["one"], everyone["two"])
        return terms

    def embed(self, field: str, x: Tensor) -> Tensor:
        """The point in the shared space."""
        z = self.towers(field, x)
        return self.heads[self.towers.tower_of[field]](z) if self.heads else z

    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Pairs with a score in the upper half of the batch; none without scores."""
        one, two = (known(side, self.needs) for side in self._both(rows))
        if not len(one):
            return []
        alike = one.keys["score"] >= one.keys["score"].median()
        return [(one[alike], two[alike])]

    def _both(self, rows: Mapping[str, Embeddings]) -> tuple[Embeddings, Embeddings]:
        one, two = (rows[field] for field in self.towers.tower_of)
        return having_both(one, two, self.towers.tower_of)
