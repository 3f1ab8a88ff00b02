"""Hard negatives that the data gives, beside the positive of each sample."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.core.errors import UserError
from kontrast.losses.relation import Pairs, Relation, equal, nobody


@dataclass(frozen=True)
class GivenNegatives(Relation):
    """Positives of the same sample, and weighted negatives that the data gives for it.

    Take it for triples: an anchor, its positive, and a text (picture ...) that is close and yet wrong. Candidates are
    the positives and the given negatives of all samples. Only the weight of the anchor's own given negative changes;
    that of another sample is a negative like others.

    Args:
        key: Candidates' key, 1 for given negatives and 0 for positives.
        weight: Of the anchor's own given negative, at least 0. 1 as in SimCSE, whose code takes its logarithm.

    Raises:
        UserError: `weight` is below 0 or not finite.

    Equation:
        P_ij = [id_i = id_j] (1 - key_j), Q_ij = weight if id_i = id_j and key_j = 1, else 1

    Reference:
        SimCSE, arXiv:2104.08821, section 4.

    Example:
        >>> anchors = {"id": torch.tensor([[0], [1]])}
        >>> candidates = {"id": torch.tensor([0, 1, 0]), "given": torch.tensor([0, 0, 1])}
        >>> positives, weights = GivenNegatives(weight=2.0).weights(anchors, candidates)
        >>> weights.tolist()
        [[1.0, 1.0, 2.0], [1.0, 1.0, 1.0]]
    """

    key: str = "given"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise UserError(f"given_negatives: weight={self.weight}; expected a finite number of 0 or more.")

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Positives of the sample, and the weights of candidates."""
        same = a["id"] == c["id"]
        given = c[self.key]
        if self.weight == 1:
            return same * (1 - given), None
        return same * (1 - given), torch.where(same & (given > 0), self.weight, 1.0)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs of the same sample."""
        pairs = equal(a["id"], c["id"])
        return pairs, nobody(a) if self.weight == 1 else pairs

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
