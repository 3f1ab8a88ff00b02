"""CoSENT and AnglE: similarities of two fields follow the order of gold scores."""

from collections.abc import Mapping

from torch import Tensor, nn

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.layers.head import Head
from kontrast.losses.pairwise.cosent import CoSENT
from kontrast.tasks.parts import LossChoice, alignment_loss, having_both, known, where_present
from kontrast.tasks.task import Output, Task

PROJECTED = 256  # width of the shared space if the two fields have different encoders


class Scored(Task):
    """Learns from two fields of a row and a score of their similarity.

    Take it for data such as STS-B: two texts and a score. Without scores, `clip` learns from the pairs alone. The gold
    scores of held-out and validation rows are not used in training, but for evaluation (Spearman's correlation).

    Args:
        encoders: Facts of the encoders of the two fields.
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
    min_fields = 2
    max_fields = 2
    needs = frozenset({"score"})
    strength = "light"

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        loss: LossChoice = Choice("cosent"),
        cosine: float = 0.0,
        width: int | None = None,
    ) -> None:
        super().__init__()
        fields = encoders.fields
        if len(fields) != 2:
            raise UserError(f"task 'scored' compares two fields of a row; found {', '.join(fields)}.")
        if cosine < 0:
            raise UserError(f"task 'scored': cosine={cosine:g}; expected a weight of 0 or more.")
        self.loss, self.cosine = alignment_loss(loss), cosine
        self.networks = {field: encoders.network(field) for field in fields}
        self.beside = CoSENT()
        used = set(self.networks.values())
        width = width or (PROJECTED if len(used) > 1 else None)
        self.heads = nn.ModuleDict(
            {
                network: Head(in_width=encoders.widths[field], hidden=None, width=width, layers=1)
                for field, network in self.networks.items()
                if width
            }
        )
        self.width = width or encoders.widths[fields[0]]

    def views(self) -> dict[str, ViewSpec]:
        """Both fields, each once."""
        return {field: ViewSpec(field) for field in self.networks}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Embeddings of each field, zeros for rows that lack it."""
        found = {}
        for field, features in encoders(batch, self.networks).items():
            here, head = batch.keys[f"has {field}"], self._head(field)
            z = where_present(head, features.pooled, here, self.width, together=encoders.together)
            found[field] = Output(z, field)
        return found

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss over the rows of all ranks that have both fields and a score."""
        one, two = (known(side, self.needs) for side in self._both(out))
        everyone = ranks.gather({"one": one, "two": two}) if self.loss.whole else {"one": one, "two": two}
        terms = {"scored": self.loss(everyone["one"], everyone["two"])}
        if self.cosine:
            terms["cosine"] = self.cosine * self.beside(everyone["one"], everyone["two"])
        return terms

    def embed(self, field: str, features: Features) -> Tensor:
        """The point in the shared space."""
        return self._head(field)(features.pooled)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Pairs with a score in the upper half of the batch; none without scores."""
        one, two = (known(side, self.needs) for side in self._both(out))
        if not len(one):
            return []
        alike = one.keys["score"] >= one.keys["score"].median()
        return [(one[alike], two[alike])]

    def _head(self, field: str) -> nn.Module:
        return self.heads[self.networks[field]] if self.heads else nn.Identity()

    def _both(self, out: Mapping[str, Embeddings]) -> tuple[Embeddings, Embeddings]:
        one, two = (out[field] for field in self.networks)
        return having_both(one, two, self.networks)
