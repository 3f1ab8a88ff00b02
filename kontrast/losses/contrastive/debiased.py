"""InfoNCE corrected for false negatives, with optional weight on hard negatives."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.negatives import negative_weights
from kontrast.losses.tile_weights import Weights


class Debiased(ContrastiveLoss):
    """InfoNCE corrected for false negatives, with optional weight on hard negatives.

    Take it if many negatives of a batch share the anchor's class (few classes, no labels). With labels, `InfoNCE` over
    `SameKey("label")` knows the positives and needs no correction. `prior` = `hardness` = 0 is InfoNCE.

    Args:
        prior: Probability that a random row is a positive, in [0, 1), about 1 / classes; 0.1 as in the paper on
            CIFAR-10.
        hardness: Weight of hard negatives: they count e^(hardness S). 0 (default) weighs all alike; Robinson et al.
            have 1.
        temperature: That of the kernel, for the floor of g. Default 0.1; the training step sets it to 0.5, as both
            papers do.

    Shape:
        S, P and Q (l, n, M): l problems, n anchors, M candidates -> (l, n).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L_i = -s+ + log(e^s+ + g), g = max((N R - prior N e^s+) / (1 - prior), N e^(-1 / temperature)), N the number of
        negatives, R = mean e^((1 + hardness) S) / mean e^(hardness S) over them, s+ the positive's similarity. With
        several positives, s+ is the mean of S, and e^s+ the mean of e^S.

    Reference:
        Chuang et al. 2020, arXiv:2007.00224; Robinson et al. 2021, arXiv:2010.04592.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> relation = SameKey("label")
        >>> loss = Contrastive(loss=Debiased(prior=0.0, temperature=1.0), kernel="dot", relation=relation)
        >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
        >>> round(loss(z, {"label": labels}).item(), 4)  # prior 0 is InfoNCE: log(e + 1) - 1
        0.3133
    """

    usual: ClassVar[Mapping[str, Any]] = {"kernel": "cosine", "temperature": 0.5}

    def __init__(self, *, prior: float = 0.1, hardness: float = 0.0, temperature: float = 0.1) -> None:
        super().__init__()
        self.prior = input_checks.number(prior, "debiased: prior", least=0, below=1)
        self.hardness = input_checks.number(hardness, "debiased: hardness", least=0)
        self.temperature = input_checks.temperature(temperature, "debiased: temperature")

    def learned(self) -> list[Tensor]:
        """The temperature if it is a tensor, since the floor depends on it."""
        return [self.temperature] if isinstance(self.temperature, Tensor) else []

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor, shape (l, n)."""
        against = negative_weights(positives, candidates)
        tiny = torch.finfo(similarity.dtype).tiny
        n = against.sum().clamp_min(tiny)
        pulled = log_sum(similarity, positives) - positives.sum().clamp_min(tiny).log()
        pushed = log_sum(similarity * (1 + self.hardness), against)
        if self.hardness:
            pushed = pushed - log_sum(similarity * self.hardness, against) + n.log()
        top = torch.maximum(pulled, pushed).clamp_min(-1 / self.temperature).detach()
        near = (pulled - top).exp()
        far = ((pushed - top).exp() - self.prior * n * near) / (1 - self.prior)
        floor = n * (-1 / self.temperature - top).exp()
        return (near + torch.maximum(far, floor)).log() + top - mean(similarity, positives)
