"""Compares rows of the same group only."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Relation, known


@dataclass(frozen=True)
class WithinGroup(Relation):
    """Compares rows of the same group only.

    Take it for a contrast within a domain, a source or a sensitive group, as `SameKey("label") & WithinGroup("site")`.
    `DifferentGroup` is the opposite for positives. -1 is unknown: such rows are compared with none.

    Args:
        key: Key of the group.

    Equation:
        P_ij = Q_ij = [key_i = key_j]

    Reference:
        Fair supervised contrast, arXiv:2203.16209.

    Example:
        >>> anchors = {"site": torch.tensor([[0], [1]])}
        >>> candidates = {"site": torch.tensor([0, 0, 1])}
        >>> WithinGroup("site").weights(anchors, candidates)[1].int().tolist()
        [[1, 1, 0], [0, 0, 1]]
    """

    key: str

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 within the group, for positives and candidates."""
        same = known(a[self.key]) == c[self.key]
        return same, same

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
