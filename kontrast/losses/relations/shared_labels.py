"""Rows with several labels attract by how many they share."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.engine import input_checks
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class SharedLabels(Relation):
    """Sets of labels as (N, C) keys of 0 and 1 (multi-hot).

    how "any": 1 where one label is shared; "jaccard": shared / held by either; "hamming": the part of the C labels on
    which both agree, absent ones included (HeroCon's weight, KDD 2022). Rows without any label attract nobody under the
    first two.
    """

    key: str
    how: Literal["any", "jaccard", "hamming"] = "jaccard"

    def __post_init__(self) -> None:
        input_checks.choice(self.how, "several: how", ("any", "jaccard", "hamming"))

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The einsum is a matrix product on a tile and dots on a list; counts are exact in float32."""
        left, right = a[self.key].float(), c[self.key].float()
        shared = torch.einsum("...c,...c->...", left, right)
        if self.how == "any":
            return shared > 0, None
        held = left.sum(-1) + right.sum(-1)
        if self.how == "jaccard":
            return shared / (held - shared).clamp_min(1), None
        return 1 - (held - 2 * shared) / left.shape[-1], None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Everyone may attract; everyone counts."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
