"""Rows that a teacher holds alike attract: its embeddings come as a key."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Keys
from kontrast.losses.engine import input_checks
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class Teacher(Relation):
    """attract = exp(cos(t_i, t_j) / temperature - 1 / temperature), t the (N, D) key of a teacher's embeddings.

    A loss that shares attraction out over the row (InfoNCE) so aims at the teacher's softmax over the other rows: SEED
    (arXiv:2101.04731), relational distillation. A teacher's class probabilities are no embeddings: `Soft` takes them.
    `temperature` None: the cosine itself, 0 where negative.
    """

    key: str = "teacher"
    temperature: float | None = 0.1

    def __post_init__(self) -> None:
        if self.temperature is not None:
            input_checks.number(self.temperature, "teacher: temperature", above=0, hint=", or None for the cosine")

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The einsum is a matrix product on a tile and dots on a list."""
        cos = torch.einsum("...c,...c->...", F.normalize(a[self.key], dim=-1), F.normalize(c[self.key], dim=-1))
        return cos.clamp_min(0) if self.temperature is None else ((cos - 1) / self.temperature).exp(), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Everyone may attract; everyone counts."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
