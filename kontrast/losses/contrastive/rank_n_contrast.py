"""Rank-N-Contrast: every other row is a positive once, against those no closer to the anchor's target."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.tile_weights import Weights


class RankNContrast(ContrastiveLoss):
    """L_i = mean over j of log sum_{k: P_ik <= P_ij} Q_ik e^S_ik - S_ij; the smaller P_ik, the farther k's target.

    For continuous targets (an age, a dose): the order of embeddings follows the order of targets (arXiv:2210.01189).
    Of P only the order is read: take the relation `Close(target, shape="order")`, which keeps it for all distances.
    Computed in float64: close targets keep their order, and rows of a tight cluster their distances.
    `root` reads S as -d^2 / temperature^2 (the kernel `Distance` with temperature^2) and goes on with -d /
    temperature, the paper's similarity (temperature 2); without it S is taken as it is.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": {"name": "distance", "temperature": 4.0}}
    precise = True

    def __init__(self, *, root: bool = False) -> None:
        super().__init__()
        self.root = input_checks.flag(root, "rnc: root")

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """Rows are put in the order of P, so that the sums are running sums; equal P share the last of theirs."""
        floor = 1e-18 if similarity.dtype == torch.float64 else 1e-12  # a root has no slope at 0
        s = -(floor - similarity.clamp_max(0)).sqrt() if self.root else similarity
        P = attract.dense().to(s.dtype)
        closeness, order = P.sort(dim=-1)
        s, counts = s.gather(-1, order), among.dense().to(s.dtype).expand(P.shape).gather(-1, order)
        top = s.masked_fill(counts == 0, -torch.inf).amax(-1, keepdim=True).clamp_min(torch.finfo(s.dtype).min).detach()
        mass = ((s - top).clamp_max(60).exp() * counts).cumsum(-1)
        last = torch.searchsorted(closeness, closeness, right=True) - 1
        against = mass.gather(-1, last).clamp_min(torch.finfo(s.dtype).tiny).log() + top
        pulls = (closeness > 0) & (counts > 0)
        return torch.where(pulls, against - s, 0).sum(-1) / pulls.sum(-1).clamp_min(1)
