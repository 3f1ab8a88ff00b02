"""Positives share labels, weighed by how many."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.engine import input_checks
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class SharedLabels(Relation):
    """Positives share labels, weighed by how many.

    Take it for several labels per row; for one label `SameKey` is faster. Rows without labels are no positives under
    "any" and "jaccard".

    Args:
        key: Multi-hot key (N, C) of 0 and 1.
        how: "any": 1 if a label is shared; "jaccard" (default): shared / all labels of both; "hamming": share of the C
            labels on which both agree, absent ones included.

    Raises:
        UserError: `how` is unknown.

    Equation:
        P_ij = |y_i & y_j| / |y_i | y_j| for "jaccard", Q_ij = 1

    Reference:
        "hamming": HeroCon, Zheng et al. 2022, KDD.

    Example:
        >>> anchors = {"tags": torch.tensor([[[1, 1]]])}
        >>> candidates = {"tags": torch.tensor([[1, 1], [1, 0], [0, 0]])}
        >>> SharedLabels("tags").weights(anchors, candidates)[0].tolist()
        [[1.0, 0.5, 0.0]]
    """

    key: str
    how: Literal["any", "jaccard", "hamming"] = "jaccard"

    def __post_init__(self) -> None:
        input_checks.choice(self.how, "shared_labels: how", ("any", "jaccard", "hamming"))

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Shared labels by `how`, exact in float32; all candidates."""
        left, right = a[self.key].float(), c[self.key].float()
        shared = torch.einsum("...c,...c->...", left, right)
        if self.how == "any":
            return shared > 0, None
        held = left.sum(-1) + right.sum(-1)
        if self.how == "jaccard":
            return shared / (held - shared).clamp_min(1), None
        return 1 - (held - 2 * shared) / left.shape[-1], None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """No short list of positives, since any pair may be one; every row is a candidate."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
