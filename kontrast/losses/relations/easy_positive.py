"""Miner that keeps the most similar positive of each anchor."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class EasyPositive(Miner):
    """Miner that keeps the most similar positive of each anchor.

    Take it for classes of several kinds: they need not become one cluster, and embeddings generalise better to unseen
    classes. With clean, compact classes all positives are better. With `InfoNCE` it is the paper's easy positive n-pair
    loss; add `Hard(EasyPositive(...), sides="negatives")` or `SemiHard(EasyPositive(...))` for hard negatives.

    Args:
        of: Relation whose positives are mined.

    Equation:
        P_ij is kept for j = argmax_j S_ij over positives; Q_ij = 0 for the other positives.

    Reference:
        Xuan et al. 2020, arXiv:1904.04370.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> similarity = torch.tensor([[[0.9, 0.5, 0.8, 0.1]]])
        >>> positives = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
        >>> seen = Seen(similarity, positives, torch.ones(1, 1, 4), {}, {}, unit=1.0, width=2)
        >>> EasyPositive(SameKey("label")).pick(seen)[0].tolist()
        [[[1.0, 0.0, 0.0, 0.0]]]
    """

    of: Relation

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """One positive (the first of equals), and all negatives."""
        P = seen.positives
        nearest = seen.similarity.masked_fill(P <= 0, -torch.inf).argmax(-1, keepdim=True)
        pulls = torch.zeros_like(P).scatter_(-1, nearest, P.gather(-1, nearest))
        return pulls, torch.where((P > 0) & (pulls <= 0), 0, seen.candidates)
