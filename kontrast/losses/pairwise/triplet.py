"""Triplet loss: positives must be closer than negatives by `margin`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class Triplet(ContrastiveLoss):
    """Triplet loss: positives must be closer than negatives by `margin`.

    Take it for retrieval or verification with class labels and several rows per class. "all" is robust, "semihard" is
    FaceNet's, "hard" is sharpest and suffers from wrong labels. With many negatives `InfoNCE` or `MultiSimilarity`
    usually learn faster. Anchors without a triplet are dropped.

    No triplet tensor is made: "all" sorts and looks sums up (relu), or iterates over positives (softplus).

    Args:
        margin: In S, at least 0; 0.2 in squared distance as in FaceNet. pytorch-metric-learning has 0.05 and
            sentence-transformers 5, of distances.
        triplets: "all", weighed P_ip N_in (FaceNet's sum divided by the number of triplets, satisfied ones included);
            "semihard", for each (i, p) the nearest n farther than p, or the farthest n if there is none; "hard", for
            each i its farthest p and nearest n.
        soft: softplus instead of relu; False by default.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L = mean of phi(S_in - S_ip + margin) over triplets (i, p, n), p a positive and n a negative of i, phi = relu
        (softplus if `soft`); S is the negative squared distance, on the sphere the cosine at temperature 0.5 up to a
        constant.

    Reference:
        Schroff et al. 2015, arXiv:1503.03832; Hermans et al. 2017, arXiv:1703.07737.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=Triplet(margin=1.2), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # relu(0 - 1 + 1.2)
        0.2
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 0.5}

    def __init__(
        self, *, margin: float = 0.2, triplets: Literal["all", "semihard", "hard"] = "all", soft: bool = False
    ) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "triplet: margin", least=0)
        self.triplets = input_checks.choice(triplets, "triplet: triplets", ("all", "semihard", "hard"))
        self.soft = input_checks.flag(soft, "triplet: soft")

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        """Number of triplets of each anchor (of positives if mined), shape (l, n)."""
        p, n = positives.sum(), negative_weights(positives, candidates).sum()
        return p * n if self.triplets == "all" else (p if self.triplets == "semihard" else p > 0) * (n > 0)

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Mean over an anchor's triplets, shape (l, n)."""
        P, N = positives.dense(), negative_weights(positives, candidates).dense()
        if self.triplets == "hard":
            farthest = similarity.masked_fill(P == 0, torch.inf).amin(-1)
            nearest = similarity.masked_fill(N == 0, -torch.inf).amax(-1)
            has = farthest.isfinite() & nearest.isfinite()
            return self._phi(torch.where(has, nearest - farthest, 0))
        if self.triplets == "semihard":
            return (P * self._phi(_semihard(similarity, N) - similarity)).sum(-1) / P.sum(-1).clamp_min(1e-12)
        parts = self._soft(similarity, P, N) if self.soft else _hinges(similarity, P, N, self.margin)
        return parts / (P.sum(-1) * N.sum(-1)).clamp_min(1e-12)

    def slope(self, similarity: Tensor, positives: Weights, candidates: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """Losses and gradients; soft triplets are summed here, for autograd would keep a matrix per positive."""
        if self.triplets != "all" or not self.soft:
            return super().slope(similarity, positives, candidates, weight)
        P, N = positives.dense(), negative_weights(positives, candidates).dense()
        d, total = torch.zeros_like(similarity), torch.zeros_like(weight)
        for at, p in _each_positive(P):
            x = similarity - similarity.gather(-1, at) + self.margin
            total += p * torch.linalg.vecdot(N, F.softplus(x))
            x.sigmoid_().mul_(N).mul_(p[..., None])
            d.add_(x).scatter_add_(-1, at, -x.sum(-1, keepdim=True))
        share = 1 / (P.sum(-1) * N.sum(-1)).clamp_min(1e-12)
        return total * share, d, share * weight

    def _phi(self, x: Tensor) -> Tensor:
        return F.softplus(x + self.margin) if self.soft else F.relu(x + self.margin)

    def _soft(self, s: Tensor, P: Tensor, N: Tensor) -> Tensor:
        total = torch.zeros_like(s[..., 0])
        for at, p in _each_positive(P):
            total = total + p * (N * F.softplus(s - s.gather(-1, at) + self.margin)).sum(-1)
        return total


def _each_positive(P: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Column (l, n, 1) and weight (l, n) of every anchor's k-th positive, for each k; 0 if there are fewer."""
    weights, order = P.sort(-1, descending=True)
    for k in range(int((P > 0).sum(-1).amax())):
        yield order[..., k : k + 1], weights[..., k]


def _hinges(s: Tensor, P: Tensor, N: Tensor, margin: float) -> Tensor:
    """sum_pn P_p N_n relu(S_n - S_p + margin), by sorting.

    The lines S_p - margin, sorted, separate the negatives; each p then looks up the sums of those above its line. Only
    an anchor's positives are sorted, which are few. Sums are of distances from the anchor's own mean negative, not from
    0, so that float32 loses nothing to a common offset.
    """
    middle = ((N * s).sum(-1, keepdim=True) / N.sum(-1, keepdim=True).clamp_min(1e-12)).detach()
    s = s - middle
    at, p = _positives(P)
    line, order = (s.gather(-1, at) - margin).masked_fill(p == 0, torch.inf).sort(-1)
    p = p.gather(-1, order)
    below = torch.searchsorted(line.detach(), s.detach())  # number of lines below each n
    none = s.new_zeros(*line.shape[:-1], line.shape[-1] + 1)
    mass, sums = none.scatter_add(-1, below, N), none.scatter_add(-1, below, N * s)
    mass, sums = (x.flip(-1).cumsum(-1).flip(-1)[..., 1:] for x in (mass, sums))
    return (p * (sums - mass * line.masked_fill(p == 0, 0))).sum(-1)


def _positives(P: Tensor) -> tuple[Tensor, Tensor]:
    """Columns of each anchor's positives, (l, n, K), and their weights, 0 where there are fewer than K."""
    flat = P.flatten(0, 1)
    i, j = flat.nonzero(as_tuple=True)
    counts = torch.bincount(i, minlength=len(flat))
    place = torch.arange(len(i), device=i.device) - (counts.cumsum(0) - counts)[i]
    at = i.new_zeros(len(flat), int(counts.amax()) if len(flat) else 0)
    weight = P.new_zeros(at.shape)
    at[i, place], weight[i, place] = j, flat[i, j]
    return at.view(*P.shape[:2], -1), weight.view(*P.shape[:2], -1)


def _semihard(s: Tensor, N: Tensor) -> Tensor:
    """For every j as a positive: the greatest S_in below S_ij, else the least S_in; (l, n, M)."""
    rising, order = s.detach().masked_fill(N == 0, torch.inf).sort(-1)
    below = torch.searchsorted(rising, s.detach().contiguous()) - 1
    return s.gather(-1, order.gather(-1, below.clamp_min(0)))
