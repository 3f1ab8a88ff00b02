"""DINO: each view predicts what a teacher, a running mean of the student, makes of global views; no negatives."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import torch

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.centre import Centre
from kontrast.layers.momentum import MomentumCopy, cosine_momentum
from kontrast.layers.prototypes import Prototypes
from kontrast.losses.clustering.dino import DINO as Loss
from kontrast.tasks.one_field import OneField
from kontrast.tasks.task import Output


class DINO(OneField):
    """Predicts from each view to which prototypes a teacher assigns a global view of the same sample.

    Take it for data without labels if negatives are unwanted; small crops add views at little cost. The teacher, made
    of momentum copies, sees global views alone. A centre and a low temperature keep its outputs from collapsing:
    batches need not be larger than the number of prototypes, as for `swav`. Duplicates do no harm. The student's
    encoder is evaluated and served; the paper's authors serve the teacher's.

    Args:
        encoders: Facts of the encoder of the one field.
        crops: Local views beside the two global ones; 8 in the paper. They predict and are not predicted.
        prototypes: Outputs of the last layer, 2 or more; 65,536 in the paper.
        frozen: Share of the run, 0 to 1, in which the last layer does not move; the paper's is one epoch.
        temperature: Temperature of the student; 0.1 as in the paper.
        sharp: Temperature of the teacher in the first step; 0.04 as in the paper.
        blunt: That from the end of its warm-up on; 0.07 as in the paper.
        warmup: Share of the run, 0 to 1, in which it rises; 0.3 is about the paper's.
        momentum: Share of their own weights that the copies keep in the first step, 0 to 1; 0.996 in the paper. Short
            runs need less, or the copies hardly leave their random start.
        final_momentum: That in the last step, reached along half a cosine; 1 as in the paper.
        centre: Share of the old centre that each step keeps; 0.9 as in the paper.
        hidden: Width of the head's hidden layers; 2,048 in the paper.
        width: Width of the embeddings below the last layer; 256 in the paper.

    Equation:
        L = mean over global views a, and views v other than a, of -sum_k q_ak log softmax(s_v / temperature)_k: s the
        student's cosines to prototypes, q_a = softmax((t_a - c) / teacher's temperature), t the teacher's cosines to
        its copies of them, c their running mean.

    Reference:
        Caron et al. 2021, arXiv:2104.14294.

    Example:
        >>> list(DINO(EncoderInfo({"photo": 64}), crops=2).views())
        ['photo.1', 'photo.2', 'photo.local1', 'photo.local2']
    """

    uses = frozenset({"momentum"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        crops: Annotated[int, Range(0, 48)] = 4,
        prototypes: int = 512,
        frozen: Annotated[float, Range(0, 1)] = 0.01,
        temperature: float = 0.1,
        sharp: Annotated[float, Range(1e-3, 10)] = 0.04,
        blunt: Annotated[float, Range(1e-3, 10)] = 0.07,
        warmup: Annotated[float, Range(0, 1)] = 0.3,
        momentum: Annotated[float, Range(0, 1)] = 0.99,
        final_momentum: Annotated[float, Range(0, 1)] = 1.0,
        centre: Annotated[float, Range(0, 0.9999)] = 0.9,
        hidden: int = 512,
        width: int = 128,
    ) -> None:
        super().__init__(encoders, views=2, hidden=hidden, width=width, layers=3 if hidden else 1, norm="none")
        self.crops, self.frozen, self.still = crops, frozen, False
        self.sharp, self.blunt, self.warmup = sharp, blunt, warmup
        self.first, self.last = momentum, final_momentum
        self.prototypes = Prototypes(width=width, prototypes=prototypes)
        self.copied, self.copied_prototypes = MomentumCopy(self.head), MomentumCopy(self.prototypes)
        self.centre, self.loss = Centre(width=prototypes, momentum=centre), Loss(temperature=temperature)

    def views(self) -> dict[str, ViewSpec]:
        """Two global views, then the local ones."""
        local = {f"{self.field}.local{n}": ViewSpec(self.field, "local") for n in range(1, self.crops + 1)}
        return {**super().views(), **local}

    def begin(self, clock: Clock) -> None:
        """Sets momentum and temperature of the teacher, and whether the last layer moves."""
        self.momentum, self.still = cosine_momentum(self.first, self.last, clock.progress), clock.progress < self.frozen
        risen = min(1.0, clock.progress / self.warmup) if self.warmup else 1.0
        self.loss.teacher_temperature = self.sharp + (self.blunt - self.sharp) * risen

    def targets(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """What the copies of encoder and head make of the global views."""
        seen = encoders.momentum(batch, super().views())
        found = self.through(self.copied, seen, batch, together=encoders.together)
        return {f"target {name}": output for name, output in found.items()}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Mean cross-entropy of the other views' predictions, for each of the two global views."""
        scores = {name: self.prototypes(self.having(out[name]).z, frozen=self.still) for name in self.views()}
        terms = {}
        for name, rows in self._targets(out).items():
            assigned = self.loss.targets(self.centre(self.copied_prototypes(rows.z)), ranks)
            found = [self.loss(score, assigned) for other, score in scores.items() if other != name]
            terms[name] = 0.5 * replace(found[0], total=torch.stack([term.total for term in found]).mean(0))
        return terms

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Moves the centre by the teacher's outputs of this step, then the copies of head and last layer."""
        scores = [self.copied_prototypes(rows.z) for rows in self._targets(out).values()]
        self.centre.update(torch.stack(scores), ranks)
        self.copied.update(self.head, self.momentum)
        self.copied_prototypes.update(self.prototypes, self.momentum)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The student's embeddings of each global view with the teacher's of the other."""
        (one, a), (two, b) = self._targets(out).items()
        return [(self.having(out[one]), b), (self.having(out[two]), a)]

    def _targets(self, out: Mapping[str, Embeddings]) -> dict[str, Embeddings]:
        return {name: self.having(out[f"target {name}"]) for name in super().views()}
