"""Miner that samples negatives uniformly over distances."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class DistanceWeighted(Miner):
    """Miner that samples negatives uniformly over distances.

    Take it with `Triplet` or `PairMargin` if uniform negatives are too easy and hardest ones too noisy: on a sphere
    nearly all distances lie near the square root of 2, where negatives teach little. Needs a kernel that measures a
    cosine.

    The draw, without replacement, hashes both rows, `seed` and the anchors' key `lot`: the same on any process and in
    any tiling.

    Args:
        of: Relation whose negatives are sampled.
        k: Negatives per anchor; None (default) for as many as it has positives, as in the paper.
        cutoff: Distances below count as this; 0.5 as in the paper.
        limit: Negatives farther away are not drawn unless all are; 1.4 as in the authors' code.
        seed: Of the draw.
        lot: Key whose value changes the draw, such as the number of the step; None for the same draw at every step.

    Raises:
        ValueError: `cutoff` and `limit` not in 0 < cutoff < limit <= 2, or `k` below 1.

    Equation:
        Q_in is kept with a probability proportional to 1 / q(d), q(d) = d^(D - 2) (1 - d^2 / 4)^((D - 3) / 2), D the
        width.

    Reference:
        Wu et al. 2017, arXiv:1706.07567.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> similarity, positives = torch.tensor([[[0.9, 0.5, 0.8, 0.1]]]), torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> anchor, rows = {"row": torch.tensor([[[9]]])}, {"row": torch.arange(4).view(1, 1, 4)}
        >>> seen = Seen(similarity, positives, torch.ones(1, 1, 4), anchor, rows, unit=1.0, width=8)
        >>> DistanceWeighted(SameKey("label")).pick(seen)[1].sum().item()  # the positive and one negative
        2.0
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
        """All positives, and the k largest of log weight + Gumbel noise: a draw without replacement."""
        P, repels = seen.positives, seen.negatives > 0
        wanted = (P > 0).sum(-1, keepdim=True) if self.k is None else torch.full_like(P[..., :1], self.k)
        scores = (self._log_weights(seen, repels) + self._noise(seen)).masked_fill(~repels, -torch.inf)
        order = scores.argsort(dim=-1, descending=True, stable=True)
        ranks = torch.arange(order.shape[-1], device=order.device).expand_as(order)
        place = torch.empty_like(order).scatter_(-1, order, ranks)
        drawn = (scores > -torch.inf) & (place < wanted)
        return P, torch.where((P > 0) | drawn, seen.candidates, 0)

    def reads(self) -> frozenset[str]:
        """Names of the relation's keys and of `lot`."""
        return self.of.reads() | ({self.lot} if self.lot else frozenset())

    def _log_weights(self, seen: Seen, repels: Tensor) -> Tensor:
        """-log q(d), -inf beyond the limit; equal for all if all are beyond."""
        cos = (seen.similarity / seen.unit).clamp(-1, 1)
        d = (2 - 2 * cos).clamp_min(0).sqrt()
        D, kept = seen.width, d.clamp(self.cutoff, 2 - 1e-6)
        log = -(D - 2) * kept.log() - (D - 3) / 2 * (1 - kept.square() / 4).log()
        near = d < self.limit
        some = (near & repels).any(-1, keepdim=True)
        return torch.where(some, torch.where(near, log, -torch.inf), 0)

    def _noise(self, seen: Seen) -> Tensor:
        """Standard Gumbel numbers, one per pair."""
        own = seen.anchor_keys["row"]
        own = own if self.lot is None else random_streams.mix(own + seen.anchor_keys[self.lot].long())
        salt = torch.tensor(self.seed + 1, device=own.device)
        lot = random_streams.mix(random_streams.mix(own + random_streams.mix(salt)) + seen.candidate_keys["row"])
        u = (((lot >> 40) & 0xFFFFFF).to(seen.similarity.dtype) + 0.5) * 2.0**-24
        return -(-u.log()).log()
