"""Contrast for continuous targets: embeddings take the order of the targets."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.tile_weights import Weights


class RankNContrast(ContrastiveLoss):
    """Contrast for continuous targets: embeddings take the order of the targets.

    Every other row is a positive once, against the rows at least as far from the anchor's target. Take it for an age or
    a dose, with the relation `TargetSimilarity(target, shape="order")`: of P only the order is read. For classes take
    `InfoNCE`. Computed in float64, so that close targets keep their order and rows of a tight cluster their distances.

    Args:
        root: Read S as -d^2 / temperature^2 (kernel `Distance` with temperature^2) and take -d / temperature, the
            paper's similarity (temperature 2). False (default) takes S as it is; `kt.losses.RankNContrast` sets True.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: `root` is no boolean.

    Equation:
        L_i = mean_j [log sum_{k: P_ik <= P_ij} Q_ik e^S_ik - S_ij]; the smaller P_ik, the farther k's target.

    Reference:
        Zha et al. 2023, arXiv:2210.01189.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.target_similarity import TargetSimilarity
        >>> relation = TargetSimilarity("label", shape="order")
        >>> loss = Contrastive(loss=RankNContrast(), kernel="distance", relation=relation)
        >>> z, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([20.0, 30.0])
        >>> round(loss(z, {"label": labels}).item(), 4)  # no other candidate
        0.0
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": {"name": "distance", "temperature": 4.0}}
    precise = True

    def __init__(self, *, root: bool = False) -> None:
        super().__init__()
        self.root = input_checks.flag(root, "rank_n_contrast: root")

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n), by running sums over candidates sorted by P."""
        floor = 1e-18 if similarity.dtype == torch.float64 else 1e-12  # a root has no slope at 0
        s = -(floor - similarity.clamp_max(0)).sqrt() if self.root else similarity
        P = positives.dense().to(s.dtype)
        closeness, order = P.sort(dim=-1)
        s, counts = s.gather(-1, order), candidates.dense().to(s.dtype).expand(P.shape).gather(-1, order)
        top = s.masked_fill(counts == 0, -torch.inf).amax(-1, keepdim=True).clamp_min(torch.finfo(s.dtype).min).detach()
        mass = ((s - top).clamp_max(60).exp() * counts).cumsum(-1)
        last = torch.searchsorted(closeness, closeness, right=True) - 1
        against = mass.gather(-1, last).clamp_min(torch.finfo(s.dtype).tiny).log() + top
        pulls = (closeness > 0) & (counts > 0)
        return torch.where(pulls, against - s, 0).sum(-1) / pulls.sum(-1).clamp_min(1)
