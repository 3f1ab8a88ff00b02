"""Rows with an equal key attract."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, equal, known, nobody


@dataclass(frozen=True)
class SameKey(Relation):
    """Equal keys attract: "id" is SimCLR (arXiv:2002.05709) and CLIP (arXiv:2103.00020), "label" is SupCon
    (arXiv:2004.11362).

    A key of -1 is unknown and attracts nobody, not even another -1; its row still counts among the candidates. `apart`
    takes those that attract out of the candidates too, as decoupled contrastive learning does (arXiv:2110.06848).
    """

    key: str
    apart: bool = False

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 where the keys are equal."""
        same = known(a[self.key]) == c[self.key]
        return same, ~same if self.apart else None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Equal keys are listed by sorting."""
        pairs = equal(a[self.key], c[self.key], unknown=True)
        return pairs, pairs if self.apart else nobody(a)

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
