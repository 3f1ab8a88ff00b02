"""Only rows of another group attract."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class DifferentGroup(Relation):
    """Positives come from another domain, site, camera or sensor alone; every row still counts among the candidates.

    Written `Same("label") & Across("domain")`: what two domains share is pulled together, what tells them apart is not
    rewarded. `DifferentGroup("id")` asks for another sample, not another view. The opposite is `Within`.
    """

    key: str

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 where the groups differ."""
        return a[self.key] != c[self.key], None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Most rows are of another group; everyone counts."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
