"""Proxy-anchor: class centres are the anchors, and softmaxes over the batch find the samples that are hard for them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class ProxyAnchor(ContrastiveLoss):
    """One side of the loss of Kim et al. 2020 (arXiv:2003.13911); the whole is the sum of both sides' means.

    pull: log(1 + sum_p e^{-scale (S_ip - margin)}), its mean over the proxies i with a sample in the batch. push:
    log(1 + sum_n e^{scale (S_in + margin)}), its mean over all proxies. Two means of different counts, hence two
    terms. S is the cosine (kernel temperature 1), the anchors are proxies, the candidates everyone's samples.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 1.0}

    def __init__(self, *, side: Literal["pull", "push"] = "pull", margin: float = 0.1, scale: float = 32.0) -> None:
        super().__init__()
        self.side = input_checks.choice(side, "proxy_anchor: side", ("pull", "push"))
        self.margin = input_checks.number(margin, "proxy_anchor: margin", least=0, most=2, hint=", of the cosine")
        self.scale = input_checks.number(scale, "proxy_anchor: scale", above=0)

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The equations above."""
        if self.side == "pull":
            return F.softplus(log_sum(-self.scale * (similarity - self.margin), attract))
        return F.softplus(log_sum(self.scale * (similarity + self.margin), repel(attract, among)))

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        """Pulled are proxies with a sample; pushed are all."""
        return attract.sum() > 0 if self.side == "pull" else torch.ones_like(attract.sum())
