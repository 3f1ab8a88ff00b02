"""Semi-hard negatives: less similar to the anchor than its positives, and the nearest of those."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class SemiHard(Miner):
    """Keeps the `k` most similar negatives n with S_in < S_ip, p the least similar positive; and all positives.

    `margin` keeps only those with S_in > S_ip - margin besides, in the kernel's unit (a cosine, a squared distance):
    the semi-hard negatives of FaceNet (Schroff et al. 2015, arXiv:1503.03832), margin 0.2 in squared distance. `k` None
    keeps all of them. An anchor without any is dropped by losses that need a negative. Around `EasyPositive` or `Hard`,
    p is the positive that these chose. The loss `Triplet(triplets="semihard")` mines each positive apart, and falls
    back to the easiest negative.
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
        """The nearest negatives behind the farthest positive."""
        s, P, N = seen.similarity, seen.attract, seen.repel
        farthest = s.masked_fill(P <= 0, torch.inf).amin(-1, keepdim=True)
        band = (N > 0) & (s < farthest)
        if self.margin is not None:
            band &= s > farthest - self.margin * seen.unit
        if self.k is not None:
            best = s.masked_fill(~band, -torch.inf).topk(min(self.k, s.shape[-1]), dim=-1).indices
            band &= torch.zeros_like(band).scatter_(-1, best, True)
        return P, torch.where((P > 0) | band, seen.among, 0)
