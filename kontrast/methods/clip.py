"""CLIP for any number of fields: those of a row attract one another across one shared space; rows may lack some."""

import itertools
from collections.abc import Iterable, Mapping
from functools import partial
from typing import cast

from torch import Tensor, nn

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.ranks import Ranks
from kontrast.layers.head import Head
from kontrast.layers.towers import Towers
from kontrast.losses.bidirectional import mutual
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernel import Kernel
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.methods.method import Method
from kontrast.methods.parts import (
    SAMPLE,
    KernelChoice,
    LossChoice,
    RelationChoice,
    contrast_loss,
    having_both,
    kernel_of,
    known,
    relation_of,
    targets_of,
    where_present,
)


class CLIP(Method):
    """Symmetric InfoNCE between every two fields of a row (Radford et al. 2021, arXiv:2103.00020; several:
    arXiv:1906.05849).

    around: a field to which all others are compared (a star, as ImageBind does, arXiv:2305.05665); None: every pair. A
    row takes part in each pair of which it has both fields; as a candidate it counts wherever it has the one asked for.
    A learnable temperature, one a pair. own: whether the other rows of an anchor's own field repel it too, as in
    NT-Xent. Rows with equal content in either field are no negatives of each other. loss, kernel, relation: as in
    `SimCLR`, one loss and one kernel per pair; with the relation {"name": "same_key", "key": "label"} rows of a class
    attract across fields.
    """

    shared = True
    fewest = 2
    strength = "light"

    def __init__(
        self,
        towers: Towers,
        *,
        temperature: float = 0.07,
        around: str | None = None,
        own: bool = False,
        hidden: int = 0,
        width: int = 256,
        loss: LossChoice = Choice("infonce"),
        kernel: KernelChoice = Choice("cosine", {"learnable": True}),
        relation: RelationChoice = SAMPLE,
    ) -> None:
        super().__init__()
        fields = list(towers.tower_of)
        if len(fields) < 2:
            raise UserError(f"method 'clip' compares two or more fields of a row; found {', '.join(fields)} alone.")
        if around is not None and around not in fields:
            raise UserError(f"method 'clip': around='{around}' is no view{did_you_mean(around, fields)}")
        self.towers = towers
        tower_widths = {towers.tower_of[field]: towers.width(field) for field in fields}
        self.heads = nn.ModuleDict(
            {
                tower: Head(in_width=n, hidden=hidden or None, width=width, layers=2 if hidden else 1)
                for tower, n in tower_widths.items()
            }
        )
        self.pairs = [p for p in itertools.combinations(fields, 2) if around is None or around in p]
        self.kernels = nn.ModuleList([kernel_of(kernel, temperature=temperature, width=width) for _ in self.pairs])
        self.losses = nn.ModuleList([contrast_loss(loss, temperature=temperature) for _ in self.pairs])
        self.relation = relation_of(relation)
        self.needs = targets_of(self.relation)
        self.width, self.own = width, own

    def draws(self) -> dict[str, str]:
        """Every field, drawn once."""
        return {field: field for field in self.towers.tower_of}

    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Each field's rows where they are there, zeros elsewhere; only what is there meets an encoder."""
        out = {}
        for field, x in views.items():
            embed, here = partial(self.embed, field), keys[f"has {field}"]
            out[field] = where_present(embed, x, here, self.width, together=self.together)
        return out

    def compare(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Both directions of every pair, among the rows that have the field."""
        here = {name: known(_present(r, name), self.needs) for name, r in rows.items()}
        everyone = ranks.gather(here)
        terms = {}
        losses = cast(Iterable[ContrastiveLoss], self.losses)
        for (a, b), kernel, loss in zip(self.pairs, cast(Iterable[Kernel], self.kernels), losses, strict=True):
            relation = self.relation & ExcludeDuplicates(f"content {a}") & ExcludeDuplicates(f"content {b}")
            if self.own:
                both = Embeddings.stack(everyone[a], everyone[b])
                means = tuple(contrast(here[f], both, relation, loss=loss, kernel=kernel) for f in (a, b))
            else:
                among = everyone[a], everyone[b]
                means = mutual(here[a], here[b], relation, loss=loss, kernel=kernel, everyone=among)
            for name, mean in zip((f"{a}>{b}", f"{b}>{a}"), means, strict=True):
                terms[name] = (0.5 / len(self.pairs)) * mean
        return terms

    def embed(self, field: str, x: Tensor) -> Tensor:
        """The point in the shared space."""
        return self.heads[self.towers.tower_of[field]](self.towers(field, x))

    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Both fields of the rows that have them, for every pair."""
        return [having_both(rows[a], rows[b], (a, b)) for a, b in self.pairs]


def _present(rows: Embeddings, field: str) -> Embeddings:
    here = rows.keys[f"has {field}"]
    return rows if here.all() else rows[here]
