"""Negatives that a guide, a second model, finds as alike as the positive are left out."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class Guided(Miner):
    """Takes negatives n with G_in > G_ip - margin out of the candidates; G is the cosine of a guide's embeddings.

    GISTEmbed (Solatorio 2024, arXiv:2402.16829). The guide's embeddings (N, D) are the key `key` of both sides; p is
    the anchor's positive, of several the one that the guide finds most alike. `how` "relative" compares with
    G_ip - margin |G_ip| instead. The guide may be an earlier copy of the model, or a larger one.
    """

    of: Relation
    key: str = "guide"
    margin: float = 0.0
    how: Literal["absolute", "relative"] = "absolute"

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Anchors without a positive keep all."""
        a, c = (
            F.normalize(keys[self.key].to(seen.similarity.dtype), dim=-1) for keys in (seen.anchors, seen.candidates)
        )
        guide, P = torch.einsum("...c,...c->...", a, c).expand_as(seen.similarity), seen.attract
        nearest = guide.masked_fill(P <= 0, -torch.inf).amax(-1, keepdim=True)
        limit = nearest - self.margin if self.how == "absolute" else nearest - self.margin * nearest.abs()
        return P, torch.where((P <= 0) & (nearest > -torch.inf) & (guide > limit), 0, seen.among)

    def reads(self) -> frozenset[str]:
        """The keys of the relation, and the guide's embeddings."""
        return self.of.reads() | {self.key}
