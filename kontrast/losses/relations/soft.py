"""Label distributions attract by how alike they are."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class Soft(Relation):
    """The cosine of two label distributions, (N, C) keys: GenSCL (arXiv:2206.00384), MixUp and CutMix targets. One-hot
    is SupCon."""

    key: str

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The einsum is a matrix product on a tile and dots on a list."""
        return torch.einsum("...c,...c->...", F.normalize(a[self.key], dim=-1), F.normalize(c[self.key], dim=-1)), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Everyone may attract; everyone counts."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
