"""Negatives count the more, the more similar they are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation

# Exponents of weights stay within this, so that float32 holds them whatever the kernel measures.
MOST = 60.0


@dataclass(frozen=True)
class Hardness(Miner):
    """Weighs each negative by e^(strength C_in), C the similarity in the kernel's unit (a cosine), without gradient.

    In a softmax this adds strength C_in to the logit of a negative (Lan et al. 2025,
    arXiv:2503.04812, strength 9 for negatives of the batch; EmbeddingGemma, arXiv:2509.20354, 5 for mined ones). The
    loss `Debiased` shares a fixed mass out among the negatives by hardness instead.
    """

    of: Relation
    strength: float = 5.0

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Positives weigh what they weighed."""
        tilt = (self.strength * seen.similarity / seen.unit).clamp(-MOST, MOST).exp()
        return seen.attract, torch.where(seen.attract > 0, seen.among, seen.among * tilt)
