"""Miner that drops negatives which a guide model finds as similar as the positive."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class Guided(Miner):
    """Miner that drops negatives which a guide model finds as similar as the positive.

    Take it if a good second model is available, a larger one or an earlier copy; otherwise `FalseNegatives`.

    Args:
        of: Relation whose negatives are filtered.
        key: Key of the guide's embeddings (N, D) on both sides; "guide" by default.
        margin: Also drop negatives less similar by up to this; 0 as in sentence-transformers.
        how: "absolute" compares with G_ip - margin, "relative" with G_ip - margin |G_ip|.

    Equation:
        Q_in = 0 if G_in > G_ip - margin, G the cosine of the guide's embeddings, p the positive with the largest G.

    Reference:
        GISTEmbed, Solatorio 2024, arXiv:2402.16829.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> anchors, guide = {"guide": torch.tensor([[[[1.0, 0.0]]]])}, [[1.0, 0.5], [0.5, 1.0], [1.0, 0.0], [0.0, 1.0]]
        >>> candidates = {"guide": torch.tensor([[guide]])}
        >>> similarity = torch.tensor([[[0.9, 0.5, 0.8, 0.1]]])
        >>> positives = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
        >>> seen = Seen(similarity, positives, torch.ones(1, 1, 4), anchors, candidates, unit=1.0, width=2)
        >>> Guided(SameKey("label")).pick(seen)[1].tolist()
        [[[1.0, 1.0, 0.0, 1.0]]]
    """

    of: Relation
    key: str = "guide"
    margin: float = 0.0
    how: Literal["absolute", "relative"] = "absolute"

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """All positives, and candidates without the guide's false negatives; anchors without a positive keep all."""
        sides = seen.anchor_keys, seen.candidate_keys
        a, c = (F.normalize(keys[self.key].to(seen.similarity.dtype), dim=-1) for keys in sides)
        guide, P = torch.einsum("...c,...c->...", a, c).expand_as(seen.similarity), seen.positives
        nearest = guide.masked_fill(P <= 0, -torch.inf).amax(-1, keepdim=True)
        limit = nearest - self.margin if self.how == "absolute" else nearest - self.margin * nearest.abs()
        return P, torch.where((P <= 0) & (nearest > -torch.inf) & (guide > limit), 0, seen.candidates)

    def reads(self) -> frozenset[str]:
        """Names of the relation's keys and of the guide's embeddings."""
        return self.of.reads() | {self.key}
