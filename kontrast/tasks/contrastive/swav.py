"""SwAV: each view predicts to which prototypes the others are assigned, with small crops; needs no negatives."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import torch

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.data.view import ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.layers.prototypes import Prototypes
from kontrast.losses.clustering.swav import SwAV as Loss
from kontrast.tasks.one_field import OneField


class SwAV(OneField):
    """Predicts from each view to which prototypes a global view of the same sample is assigned.

    Take it for data without labels if negatives are unwanted; small crops add views at little cost. Assignments fill
    all prototypes equally over the batch of all ranks, so a batch should have more rows than there are prototypes.
    Duplicates do no harm. The encoder's output is evaluated and served.

    Args:
        encoders: Facts of the encoder of the one field.
        crops: Local views beside the two global ones; 6 in the paper. They predict and are not predicted.
        prototypes: Number of prototypes, 2 or more; 3,000 in the paper, for batches of 4,096.
        frozen: Share of the run, 0 to 1, in which prototypes do not move; the paper's is one epoch.
        temperature: Temperature of the predictions; 0.1 as in the paper.
        epsilon: Sharpness of the assignments; 0.05 as in the paper.
        hidden: Width of the head's hidden layer; 2,048 in the paper.
        width: Width of the compared embeddings; 128 as in the paper.

    Equation:
        L = mean over global views a, and views v other than a, of -sum_k q_ak log softmax(s_v / temperature)_k: s the
        cosines to prototypes, q_a the Sinkhorn assignment of s_a / epsilon, without gradient.

    Reference:
        Caron et al. 2020, arXiv:2006.09882.
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        crops: Annotated[int, Range(0, 48)] = 4,
        prototypes: int = 128,
        frozen: Annotated[float, Range(0, 1)] = 0.01,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        hidden: int = 512,
        width: int = 128,
    ) -> None:
        super().__init__(encoders, views=2, hidden=hidden, width=width)
        self.crops, self.frozen, self.still = crops, frozen, False
        self.prototypes = Prototypes(width=width, prototypes=prototypes)
        self.loss = Loss(temperature=temperature, epsilon=epsilon)

    def views(self) -> dict[str, ViewSpec]:
        """Two global views, then the local ones."""
        local = {f"{self.field}.local{n}": ViewSpec(self.field, "local") for n in range(1, self.crops + 1)}
        return {**super().views(), **local}

    def begin(self, clock: Clock) -> None:
        """Says whether prototypes move in the coming step."""
        self.still = clock.progress < self.frozen

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Mean cross-entropy of the other views' predictions, for each of the two global views."""
        scores = {name: self.prototypes(self.having(out[name]).z, frozen=self.still) for name in self.views()}
        terms = {}
        for name in super().views():
            assigned = self.loss.targets(scores[name].detach(), ranks)
            found = [self.loss(score, assigned) for other, score in scores.items() if other != name]
            total = torch.stack([term.total for term in found]).mean(0)
            terms[name] = 0.5 * replace(found[0], total=total)
        return terms
