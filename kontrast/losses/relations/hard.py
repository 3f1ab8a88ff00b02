"""Miner that keeps the hardest positive and the hardest negative of each anchor."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class Hard(Miner):
    """Miner that keeps the hardest positive and the hardest negative of each anchor.

    Take it with `Triplet` and clean labels: these are the batch-hard triplets of Hermans et al. Wrong labels and false
    negatives are the hardest pairs too; if there are many, take `SemiHard`. With `InfoNCE` it is a softmax over two.

    Args:
        of: Relation whose pairs are mined.
        sides: "both" (default); "positives" or "negatives" mines one side and keeps the other whole.
            `Hard(EasyPositive(...), sides="negatives")` is the easy positive, hard negative of Xuan et al.

    Equation:
        Kept are p = argmin_j S_ij over positives and n = argmax_j S_ij over negatives.

    Reference:
        Hermans et al. 2017, arXiv:1703.07737; Xuan et al. 2020, arXiv:1904.04370.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> similarity = torch.tensor([[[0.9, 0.5, 0.8, 0.1]]])
        >>> positives = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
        >>> seen = Seen(similarity, positives, torch.ones(1, 1, 4), {}, {}, unit=1.0, width=2)
        >>> Hard(SameKey("label")).pick(seen)[1].tolist()
        [[[0.0, 1.0, 1.0, 0.0]]]
    """

    of: Relation
    sides: Literal["both", "positives", "negatives"] = "both"

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """One candidate on each mined side, the first of equals."""
        s, P, N = seen.similarity, seen.positives, seen.negatives
        pulls, counts = P, seen.candidates
        if self.sides != "negatives":
            farthest = s.masked_fill(P <= 0, torch.inf).argmin(-1, keepdim=True)
            pulls = torch.zeros_like(P).scatter_(-1, farthest, P.gather(-1, farthest))
            counts = torch.where((P > 0) & (pulls <= 0), 0, counts)
        if self.sides != "positives":
            nearest = s.masked_fill(N <= 0, -torch.inf).argmax(-1, keepdim=True)
            kept = torch.zeros_like(N, dtype=torch.bool).scatter_(-1, nearest, True)
            counts = torch.where((P <= 0) & ~kept, 0, counts)
        return pulls, counts
