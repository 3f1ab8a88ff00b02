"""Proxy-anchor: class centres are anchors, and softmaxes find their hard samples."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class ProxyAnchor(ContrastiveLoss):
    """Proxy-anchor: class centres are anchors, and softmaxes find their hard samples.

    Take it for retrieval with class labels, above all if batches hold few rows per class: it converges faster than pair
    losses. It needs a fixed set of classes. The loss is the sum of two means of different counts, hence two terms, one
    per `side`. The anchors are proxies, the candidates the samples of all processes; S is the cosine (kernel
    temperature 1).

    Args:
        side: "pull", its mean over proxies with a sample in the batch; "push", its mean over all proxies.
        margin: Of the cosine, from 0 to 2; 0.1 as in the paper and in pytorch-metric-learning.
        scale: Inverse temperature; 32 as in the paper and in pytorch-metric-learning.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        pull: L_i = log(1 + sum_p e^{-scale (S_ip - margin)}). push: L_i = log(1 + sum_n e^{scale (S_in + margin)}).

    Reference:
        Kim et al. 2020, arXiv:2003.13911.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss=ProxyAnchor(margin=0.0, scale=1.0), kernel="dot", relation=SameKey("label"))
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # log(1 + 1 / e)
        0.3133
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, side: Literal["pull", "push"] = "pull", margin: float = 0.1, scale: float = 32.0) -> None:
        super().__init__()
        self.side = input_checks.choice(side, "proxy_anchor: side", ("pull", "push"))
        self.margin = input_checks.number(margin, "proxy_anchor: margin", least=0, most=2, hint=", of the cosine")
        self.scale = input_checks.number(scale, "proxy_anchor: scale", above=0)

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        if self.side == "pull":
            return F.softplus(log_sum(-self.scale * (similarity - self.margin), positives))
        return F.softplus(log_sum(self.scale * (similarity + self.margin), negative_weights(positives, candidates)))

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        """Proxies with a sample for "pull", all proxies for "push", shape (l, n)."""
        return positives.sum() > 0 if self.side == "pull" else torch.ones_like(positives.sum())
