"""Positives are rows with an equal key."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, equal, known, nobody


@dataclass(frozen=True)
class SameKey(Relation):
    """Positives are rows with an equal key.

    The usual relation: "id" is SimCLR and CLIP, "label" is SupCon. -1 is unknown: such a row is no positive, not even
    of another -1, and remains a candidate. For several labels take `SharedLabels`, for numbers `TargetSimilarity`.

    Args:
        key: Name of the key.
        apart: Exclude positives from the candidates, as decoupled contrastive learning does. False by default.

    Equation:
        P_ij = [key_i = key_j], Q_ij = 1 (or 1 - P_ij if `apart`)

    Reference:
        SimCLR arXiv:2002.05709; CLIP arXiv:2103.00020; SupCon arXiv:2004.11362; decoupled arXiv:2110.06848.

    Example:
        >>> anchors = {"label": torch.tensor([[0], [1]])}
        >>> candidates = {"label": torch.tensor([0, 0, 1])}
        >>> SameKey("label").weights(anchors, candidates)[0].int().tolist()
        [[1, 1, 0], [0, 0, 1]]
    """

    key: str
    apart: bool = False

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """1 where keys are equal, and the candidates."""
        same = known(a[self.key]) == c[self.key]
        return same, ~same if self.apart else None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs with equal keys, found by sorting."""
        pairs = equal(a[self.key], c[self.key], unknown=True)
        return pairs, pairs if self.apart else nobody(a)

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
