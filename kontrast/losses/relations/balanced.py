"""Every class counts the same among the candidates, however many rows of it there are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class Balanced(Relation):
    """A candidate counts 1 / (rows of its class): class averaging of balanced contrastive learning (arXiv:2207.09052).

    `count` is the key that holds the size of a row's class among ALL candidates, `losses.counts` of the gathered
    labels. The anchor is no candidate of its own, so its class has one row less; `itself` False where anchors are not
    among the candidates at all (a queue, another modality).
    """

    label: str = "label"
    count: str = "count"
    itself: bool = True

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """(everyone, 1 / (count - 1 in the anchor's own class))."""
        same = a[self.label] == c[self.label]
        return torch.ones_like(same), 1 / (c[self.count] - self.itself * same.to(c[self.count].dtype)).clamp_min(1)

    def reads(self) -> frozenset[str]:
        """The class, and how many rows it has."""
        return frozenset({self.label, self.count})
