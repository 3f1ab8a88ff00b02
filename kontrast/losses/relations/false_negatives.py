"""Miner that drops negatives more similar than the positive."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class FalseNegatives(Miner):
    """Miner that drops negatives more similar than the positive.

    Take it for pairs mined from the web, where such rows are more likely unlabelled positives. With too small a margin
    hard negatives go too. `Guided` asks a second model instead.

    Args:
        of: Relation whose negatives are filtered.
        margin: In the kernel's unit, a cosine; 0.1 as in Qwen3-Embedding.

    Equation:
        Q_in = 0 if S_in > S_ip + margin, p the anchor's most similar positive.

    Reference:
        Qwen3-Embedding, arXiv:2506.05176.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> similarity = torch.tensor([[[0.6, 0.5, 0.8, 0.1]]])
        >>> positives = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
        >>> seen = Seen(similarity, positives, torch.ones(1, 1, 4), {}, {}, unit=1.0, width=2)
        >>> FalseNegatives(SameKey("label"), margin=0.1).pick(seen)[1].tolist()
        [[[1.0, 1.0, 0.0, 1.0]]]
    """

    of: Relation
    margin: float = 0.1

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """All positives, and candidates without false negatives; anchors without a positive keep all."""
        s, P = seen.similarity, seen.positives
        nearest = s.masked_fill(P <= 0, -torch.inf).amax(-1, keepdim=True)
        known = nearest > -torch.inf
        return P, torch.where((P <= 0) & known & (s > nearest + self.margin * seen.unit), 0, seen.candidates)
