"""Positives weighed by the similarity of a teacher's embeddings."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Keys
from kontrast.losses.engine import input_checks
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class Teacher(Relation):
    """Positives weighed by the similarity of a teacher's embeddings.

    Take it for distillation: with `InfoNCE` the target is the teacher's softmax over the other rows. For a teacher's
    class probabilities take `Soft`.

    Args:
        key: Key (N, D) of the teacher's embeddings; "teacher" by default.
        temperature: Above 0; 0.1 by default. None for the cosine itself, 0 where negative.

    Raises:
        UserError: `temperature` is not above 0.

    Equation:
        P_ij = exp((cos(t_i, t_j) - 1) / temperature), Q_ij = 1

    Reference:
        SEED, Fang et al. 2021, arXiv:2101.04731.

    Example:
        >>> anchors = {"teacher": torch.tensor([[[1.0, 0.0]]])}
        >>> candidates = {"teacher": torch.tensor([[2.0, 0.0], [0.0, 1.0]])}
        >>> Teacher(temperature=None).weights(anchors, candidates)[0].tolist()
        [[1.0, 0.0]]
    """

    key: str = "teacher"
    temperature: float | None = 0.1

    def __post_init__(self) -> None:
        if self.temperature is not None:
            input_checks.number(self.temperature, "teacher: temperature", above=0, hint=", or None for the cosine")

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Similarities of the teacher's embeddings, and all candidates."""
        cos = torch.einsum("...c,...c->...", F.normalize(a[self.key], dim=-1), F.normalize(c[self.key], dim=-1))
        return cos.clamp_min(0) if self.temperature is None else ((cos - 1) / self.temperature).exp(), None

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """No short list of positives, since any pair may be one; every row is a candidate."""
        return None, nobody(a)

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
