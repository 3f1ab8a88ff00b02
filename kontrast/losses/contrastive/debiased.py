"""InfoNCE whose sum over negatives is corrected for those that are secretly positives, and tilted to the hard ones."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import repel
from kontrast.losses.engine.tile_weights import Weights


class Debiased(ContrastiveLoss):
    """L_i = -s+ + log(e^s+ + g), g = max((N R - prior N e^s+) / (1 - prior), N e^(-1/temperature)).

    N counts the negatives, R = mean of e^S over them, s+ the positive's logit (of several: the mean of S, and the
    mean of e^S inside the logarithm). `prior` is the chance that a row drawn at random is a positive (1 / classes);
    the floor is the smallest e^S can be, so `temperature` must be the kernel's. Chuang et al. 2020, arXiv:2007.00224.

    `hardness` beta > 0 weighs negatives by e^(beta S): R = mean e^((1 + beta) S) / mean e^(beta S), hard negative
    sampling (Robinson et al. 2021, arXiv:2010.04592). prior = hardness = 0 is InfoNCE.
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 0.5}

    def __init__(self, *, prior: float = 0.1, hardness: float = 0.0, temperature: float = 0.1) -> None:
        super().__init__()
        self.prior = input_checks.number(prior, "debiased: prior", least=0, below=1)
        self.hardness = input_checks.number(hardness, "debiased: hardness", least=0)
        self.temperature = input_checks.temperature(temperature, "debiased: temperature")

    def learned(self) -> list[Tensor]:
        """The temperature, where it is a tensor: the floor hangs on it besides the similarities."""
        return [self.temperature] if isinstance(self.temperature, Tensor) else []

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """Everything over e^top, the larger of both sides, so that nothing overflows."""
        against = repel(attract, among)
        tiny = torch.finfo(similarity.dtype).tiny
        n = against.sum().clamp_min(tiny)
        pulled = log_sum(similarity, attract) - attract.sum().clamp_min(tiny).log()
        pushed = log_sum(similarity * (1 + self.hardness), against)
        if self.hardness:
            pushed = pushed - log_sum(similarity * self.hardness, against) + n.log()
        top = torch.maximum(pulled, pushed).clamp_min(-1 / self.temperature).detach()
        near = (pulled - top).exp()
        far = ((pushed - top).exp() - self.prior * n * near) / (1 - self.prior)
        floor = n * (-1 / self.temperature - top).exp()
        return (near + torch.maximum(far, floor)).log() + top - mean(similarity, attract)
