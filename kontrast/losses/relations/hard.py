"""The hardest pairs alone: each anchor's least similar positive, its most similar negative, or both."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class Hard(Miner):
    """Keeps an anchor's hardest positive p and its hardest negative n; all others neither attract nor count.

    p = argmin_j S_ij over what attracts, n = argmax_j S_ij over what repels. With the loss `Triplet` these are the
    batch-hard triplets of Hermans et al. 2017 (arXiv:1703.07737); with `Infonce` a softmax over two. `sides`
    "positives" or "negatives" picks on one side and leaves the other whole: `Hard(EasyPositive(Same("label")),
    sides="negatives")` is the easy positive, hard negative of Xuan et al. 2020 (arXiv:1904.04370). Noisy labels and
    false negatives are the hardest pairs too: where there are many, take `SemiHard`.
    """

    of: Relation
    sides: Literal["both", "positives", "negatives"] = "both"

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """One candidate on each side that is mined; of equals the first."""
        s, P, N = seen.similarity, seen.attract, seen.repel
        pulls, counts = P, seen.among
        if self.sides != "negatives":
            farthest = s.masked_fill(P <= 0, torch.inf).argmin(-1, keepdim=True)
            pulls = torch.zeros_like(P).scatter_(-1, farthest, P.gather(-1, farthest))
            counts = torch.where((P > 0) & (pulls <= 0), 0, counts)
        if self.sides != "positives":
            nearest = s.masked_fill(N <= 0, -torch.inf).argmax(-1, keepdim=True)
            kept = torch.zeros_like(N, dtype=torch.bool).scatter_(-1, nearest, True)
            counts = torch.where((P <= 0) & ~kept, 0, counts)
        return pulls, counts
