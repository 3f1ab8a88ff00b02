"""Negatives drawn so that all distances are met equally often, not only those that are usual on a sphere."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class DistanceWeighted(Miner):
    """Draws an anchor's negatives by 1 / q(d), q(d) = d^(D - 2) (1 - d^2 / 4)^((D - 3) / 2): Wu et al. 2017
    (arXiv:1706.07567).

    q is how distances d of rows on a sphere of width D are spread: nearly all lie near the root of 2, where negatives
    cost nothing and teach nothing. d below `cutoff` counts as `cutoff`, negatives farther than `limit` are not drawn
    unless all are. For kernels that measure a cosine. `k` negatives per anchor, without replacement; None: as many as
    it has positives, as in the paper. The lot is a hash of both rows, of `seed`, and of the anchors' key `lot` if one
    is named (the number of the step, so that others come each time): the same on any rank and in any tiling.
    """

    of: Relation
    k: int | None = None
    cutoff: float = 0.5
    limit: float = 1.4
    seed: int = 0
    lot: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.cutoff < self.limit <= 2:
            raise ValueError(
                f"distance_weighted: cutoff={self.cutoff}, limit={self.limit}; expected above 0, and more than that up "
                "to 2, the longest distance on the sphere."
            )
        if self.k is not None and self.k < 1:
            raise ValueError(f"distance_weighted: k={self.k}; expected 1 or more, or None for as many as positives.")

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """The k largest of log weight + Gumbel noise, which is a draw without replacement."""
        P, repels = seen.attract, seen.repel > 0
        wanted = (P > 0).sum(-1, keepdim=True) if self.k is None else torch.full_like(P[..., :1], self.k)
        scores = (self._log_weights(seen, repels) + self._noise(seen)).masked_fill(~repels, -torch.inf)
        order = scores.argsort(dim=-1, descending=True, stable=True)
        ranks = torch.arange(order.shape[-1], device=order.device).expand_as(order)
        place = torch.empty_like(order).scatter_(-1, order, ranks)
        drawn = (scores > -torch.inf) & (place < wanted)
        return P, torch.where((P > 0) | drawn, seen.among, 0)

    def reads(self) -> frozenset[str]:
        """The key of the lot, and those of the relation."""
        return self.of.reads() | ({self.lot} if self.lot else frozenset())

    def _log_weights(self, seen: Seen, repels: Tensor) -> Tensor:
        """-log q(d), -inf beyond the limit; where all are beyond, the same for all."""
        cos = (seen.similarity / seen.unit).clamp(-1, 1)
        d = (2 - 2 * cos).clamp_min(0).sqrt()
        D, kept = seen.width, d.clamp(self.cutoff, 2 - 1e-6)
        log = -(D - 2) * kept.log() - (D - 3) / 2 * (1 - kept.square() / 4).log()
        near = d < self.limit
        some = (near & repels).any(-1, keepdim=True)
        return torch.where(some, torch.where(near, log, -torch.inf), 0)

    def _noise(self, seen: Seen) -> Tensor:
        """Standard Gumbel numbers, one a pair."""
        own = seen.anchors["row"]
        own = own if self.lot is None else random_streams.mix(own + seen.anchors[self.lot].long())
        salt = torch.tensor(self.seed + 1, device=own.device)
        lot = random_streams.mix(random_streams.mix(own + random_streams.mix(salt)) + seen.candidates["row"])
        u = (((lot >> 40) & 0xFFFFFF).to(seen.similarity.dtype) + 0.5) * 2.0**-24
        return -(-u.log()).log()
