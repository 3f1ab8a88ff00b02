"""The easiest positive alone: of a class the row that lies nearest already."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class EasyPositive(Miner):
    """Keeps an anchor's most similar positive, argmax_j S_ij over what attracts; the others leave the candidates.

    Classes of several kinds then need not become one cluster, and generalise better to classes never seen (Xuan et al.
    2020, arXiv:1904.04370). With the loss `Infonce` it is the paper's easy positive n-pair loss; with hard or semi-hard
    negatives: `Hard(EasyPositive(...), sides="negatives")`, `SemiHard(EasyPositive(...))`.
    """

    of: Relation

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """One positive, all negatives; of equals the first."""
        P = seen.attract
        nearest = seen.similarity.masked_fill(P <= 0, -torch.inf).argmax(-1, keepdim=True)
        pulls = torch.zeros_like(P).scatter_(-1, nearest, P.gather(-1, nearest))
        return pulls, torch.where((P > 0) & (pulls <= 0), 0, seen.among)
