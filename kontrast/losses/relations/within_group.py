"""Only rows of one group are compared."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Relation, known


@dataclass(frozen=True)
class WithinGroup(Relation):
    """Rows of other groups neither attract nor count: contrast inside a domain, a batch of one source, a sensitive
    group. A group of -1 is unknown: its rows are compared with nobody."""

    key: str

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 inside the group."""
        same = known(a[self.key]) == c[self.key]
        return same, same

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
