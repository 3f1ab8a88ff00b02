"""Negatives that are more similar than the positive are taken for false ones and left out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.losses.miner import Miner, Seen
from kontrast.losses.relation import Relation


@dataclass(frozen=True)
class FalseNegatives(Miner):
    """Takes negatives n with S_in > S_ip + margin out of the candidates, p the anchor's most similar positive.

    What the model itself finds more alike than a known pair is more likely an unlabelled positive than a negative
    (Qwen3-Embedding, arXiv:2506.05176, margin 0.1; text pairs mined from the web). `margin` is in the kernel's unit, a
    cosine. With too small a margin the hard negatives go too, and with them what is to be learned. `Guided` asks a
    second model instead.
    """

    of: Relation
    margin: float = 0.1

    def pick(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Anchors without a positive keep all."""
        s, P = seen.similarity, seen.attract
        nearest = s.masked_fill(P <= 0, -torch.inf).amax(-1, keepdim=True)
        known = nearest > -torch.inf
        return P, torch.where((P <= 0) & known & (s > nearest + self.margin * seen.unit), 0, seen.among)
