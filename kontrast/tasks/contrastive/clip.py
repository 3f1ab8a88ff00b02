"""CLIP for any number of fields: fields of a row attract in one shared space."""

import itertools
from collections.abc import Iterable, Mapping
from typing import cast

from torch import Tensor, nn

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.layers.head import Head
from kontrast.losses.bidirectional import mutual
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernel import Kernel
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.tasks.parts import (
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
from kontrast.tasks.task import Output, Task


class CLIP(Task):
    """Symmetric InfoNCE between every two fields of a row; rows may lack fields.

    A row takes part in each pair of which it has both fields, and is a candidate wherever it has the field in question.
    Each pair of fields has its own loss and kernel, hence its own learned temperature. Rows with equal content in
    either field are no negatives of each other.

    Args:
        encoders: Facts of the encoders.
        temperature: Initial temperature of each pair; 0.07 as in the paper.
        around: Field that all others are compared with (a star, as in ImageBind, arXiv:2305.05665); None: every pair.
        own: Whether other rows of the anchor's own field are negatives too, as in NT-Xent.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        width: Width of the shared space.
        loss: A loss that compares anchors with candidates.
        kernel: Similarity of two embeddings; by default the cosine with a learned temperature.
        relation: Positives and candidates; with {"name": "same_key", "key": "label"} rows of a class attract across
            fields.

    Raises:
        UserError: fewer than two fields, or an unknown field in `around`.

    Reference:
        Radford et al. 2021, arXiv:2103.00020; several fields: Tian et al. 2019, arXiv:1906.05849.
    """

    shared = True
    min_fields = 2
    strength = "light"

    def __init__(
        self,
        encoders: EncoderInfo,
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
        fields = encoders.fields
        if len(fields) < 2:
            raise UserError(f"task 'clip' compares two or more fields of a row; found only {', '.join(fields)}.")
        if around is not None and around not in fields:
            raise UserError(f"task 'clip': around='{around}' is no field{did_you_mean(around, fields)}")
        self.networks = {field: encoders.network(field) for field in fields}
        widths = {self.networks[field]: encoders.widths[field] for field in fields}
        self.heads = nn.ModuleDict(
            {
                network: Head(in_width=n, hidden=hidden or None, width=width, layers=2 if hidden else 1)
                for network, n in widths.items()
            }
        )
        self.pairs = [p for p in itertools.combinations(fields, 2) if around is None or around in p]
        self.kernels = nn.ModuleList([kernel_of(kernel, temperature=temperature, width=width) for _ in self.pairs])
        self.losses = nn.ModuleList([contrast_loss(loss, temperature=temperature) for _ in self.pairs])
        self.relation = relation_of(relation)
        self.needs = targets_of(self.relation)
        self.width, self.own = width, own

    def views(self) -> dict[str, ViewSpec]:
        """Each field once."""
        return {field: ViewSpec(field) for field in self.networks}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Embeddings of each field, zeros for rows that lack it."""
        found = {}
        for field, features in encoders(batch, self.networks).items():
            head, here = self.heads[self.networks[field]], batch.keys[f"has {field}"]
            z = where_present(head, features.pooled, here, self.width, together=encoders.together)
            found[field] = Output(z, field)
        return found

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss of both directions of each pair, over the rows that have the fields."""
        here = {name: known(_present(r, name), self.needs) for name, r in out.items()}
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

    def embed(self, field: str, features: Features) -> Tensor:
        """The point in the shared space."""
        return self.heads[self.networks[field]](features.pooled)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Both fields of each pair, for the rows that have both."""
        return [having_both(out[a], out[b], (a, b)) for a, b in self.pairs]


def _present(rows: Embeddings, field: str) -> Embeddings:
    here = rows.keys[f"has {field}"]
    return rows if here.all() else rows[here]
