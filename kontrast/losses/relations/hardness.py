"""Miner that weighs negatives by their similarity."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation

# Exponents of weights stay within this, so that float32 holds them whatever the kernel measures.
MOST = 60.0


@dataclass(frozen=True)
class Hardness(Miner):
    """Miner that weighs negatives by their similarity.

    Take it with `InfoNCE` to concentrate on hard negatives without dropping the others; it adds `strength` times the
    cosine to a negative's logit. With many false negatives take less or none. The loss `Debiased` redistributes a fixed
    mass among the negatives instead.

    Args:
        of: Relation whose negatives are weighed.
        strength: 5 as in EmbeddingGemma for mined negatives; Lan et al. have 9 for negatives of the batch.

    Equation:
        Q_in is multiplied by e^(strength C_in), C the similarity in the kernel's unit (a cosine), without gradient.

    Reference:
        Lan et al. 2025, arXiv:2503.04812; EmbeddingGemma, arXiv:2509.20354.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> similarity = torch.tensor([[[0.9, 0.5, 0.8, 0.1]]])
        >>> positives = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
        >>> seen = Seen(similarity, positives, torch.ones(1, 1, 4), {}, {}, unit=1.0, width=2)
        >>> Hardness(SameKey("label"), strength=0.0).pick(seen)[1].tolist()  # strength 0 changes nothing
        [[[1.0, 1.0, 1.0, 1.0]]]
    """

    of: Relation
    strength: float = 5.0

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Positives unchanged, negatives weighed."""
        tilt = (self.strength * seen.similarity / seen.unit).clamp(-MOST, MOST).exp()
        return seen.positives, torch.where(seen.positives > 0, seen.candidates, seen.candidates * tilt)
