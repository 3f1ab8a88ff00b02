"""Miner that keeps the nearest negatives behind the farthest positive."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class SemiHard(Miner):
    """Miner that keeps the nearest negatives behind the farthest positive.

    Take it with `Triplet` or `PairMargin` where `Hard` collapses or labels are noisy. All positives are kept; around
    `EasyPositive` or `Hard`, p is the positive they chose. Anchors without such a negative are dropped by losses that
    need one; `Triplet(triplets="semihard")` mines per positive and falls back to the easiest negative.

    Args:
        of: Relation whose negatives are mined.
        margin: Keep only negatives with S_in > S_ip - margin, in the kernel's unit; 0.2 in squared distance in FaceNet.
            None (default) for no limit.
        k: Negatives per anchor, 1 by default; None for all.

    Raises:
        ValueError: `margin` is not above 0, or `k` is below 1.

    Equation:
        Kept are the k most similar negatives n with S_in < S_ip, p the least similar positive.

    Reference:
        FaceNet, Schroff et al. 2015, arXiv:1503.03832.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> similarity = torch.tensor([[[0.9, 0.5, 0.8, 0.1]]])
        >>> positives = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
        >>> seen = Seen(similarity, positives, torch.ones(1, 1, 4), {}, {}, unit=1.0, width=2)
        >>> SemiHard(SameKey("label")).pick(seen)[1].tolist()
        [[[1.0, 1.0, 0.0, 1.0]]]
    """

    of: Relation
    margin: float | None = None
    k: int | None = 1

    def __post_init__(self) -> None:
        if self.margin is not None and not self.margin > 0:
            raise ValueError(f"semi_hard: margin={self.margin}; expected more than 0, or None for no limit.")
        if self.k is not None and self.k < 1:
            raise ValueError(f"semi_hard: k={self.k}; expected 1 or more, or None for all.")

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """All positives, and the nearest negatives behind the farthest positive."""
        s, P, N = seen.similarity, seen.positives, seen.negatives
        farthest = s.masked_fill(P <= 0, torch.inf).amin(-1, keepdim=True)
        band = (N > 0) & (s < farthest)
        if self.margin is not None:
            band &= s > farthest - self.margin * seen.unit
        if self.k is not None:
            best = s.masked_fill(~band, -torch.inf).topk(min(self.k, s.shape[-1]), dim=-1).indices
            band &= torch.zeros_like(band).scatter_(-1, best, True)
        return P, torch.where((P > 0) | band, seen.candidates, 0)
