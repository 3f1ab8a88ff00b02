"""Positives weighed by the cosine of two label distributions."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class Soft(Relation):
    """Positives weighed by the cosine of two label distributions.

    Take it for MixUp and CutMix targets or a teacher's class probabilities. One-hot labels give SupCon; there `SameKey`
    is faster.

    Args:
        key: Key (N, C) of label shares, at least 0.

    Equation:
        P_ij = cos(key_i, key_j), Q_ij = 1

    Reference:
        GenSCL, Kim et al. 2022, arXiv:2206.00384.

    Example:
        >>> anchors = {"mix": torch.tensor([[[1.0, 0.0]]])}
        >>> candidates = {"mix": torch.tensor([[2.0, 0.0], [0.0, 1.0]])}
        >>> Soft("mix").weights(anchors, candidates)[0].tolist()
        [[1.0, 0.0]]
    """

    key: str

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Cosines of label distributions, and all candidates."""
        return torch.einsum("...c,...c->...", F.normalize(a[self.key], dim=-1), F.normalize(c[self.key], dim=-1)), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """No short list of positives, since any pair may be one; every row is a candidate."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
