"""Positives only from another group; every row remains a candidate."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class DifferentGroup(Relation):
    """Positives only from another group; every row remains a candidate.

    Take it for several domains, sites, cameras or sensors, as `SameKey("label") & DifferentGroup("domain")`: what two
    domains share is learned, what tells them apart is not rewarded. `DifferentGroup("id")` excludes views of the same
    sample. The opposite is `WithinGroup`.

    Args:
        key: Key of the group.

    Equation:
        P_ij = [key_i != key_j], Q_ij = 1

    Example:
        >>> anchors = {"site": torch.tensor([[0], [1]])}
        >>> candidates = {"site": torch.tensor([0, 0, 1])}
        >>> DifferentGroup("site").weights(anchors, candidates)[0].int().tolist()
        [[0, 0, 1], [1, 1, 0]]
    """

    key: str

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 where groups differ, and all candidates."""
        return a[self.key] != c[self.key], None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """No short list of positives, since most rows are of another group; every row is a candidate."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
