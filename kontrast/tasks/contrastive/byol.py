"""BYOL: from one view, predicts what momentum copies make of the other; needs no negatives."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from torch import Tensor

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.momentum import MomentumCopy, cosine_momentum
from kontrast.layers.predictor import Predictor
from kontrast.losses.alignment.negative_cosine import NegativeCosine
from kontrast.tasks.one_field import OneField
from kontrast.tasks.task import Output


class BYOL(OneField):
    """Predicts from one view what momentum copies of encoder and head make of the other view.

    Take it for data without labels if negatives are unwanted or batches are small. The encoder's output is evaluated
    and served.

    Args:
        encoders: Facts of the encoder of the one field.
        momentum: Share of their own weights that the copies keep in the first step, 0 to 1; 0.996 in the paper, for a
            million steps. Short runs need less, or the copies hardly leave their random start.
        final_momentum: That in the last step, reached along half a cosine; 1 as in the paper.
        hidden: Width of the hidden layer of head and predictor; 4,096 in the paper.
        width: Width of the compared embeddings; 256 in the paper.

    Equation:
        L = [l(p_1, t_2) + l(p_2, t_1)] / 2, l(p, t) = 2 - 2 cos(p, sg(t)): p_v the prediction from view v, t_v the
        copies' embedding of it, sg no gradient. The paper adds the two directions.

    Reference:
        Grill et al. 2020, arXiv:2006.07733.
    """

    uses = frozenset({"momentum"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        momentum: Annotated[float, Range(0, 1)] = 0.99,
        final_momentum: Annotated[float, Range(0, 1)] = 1.0,
        hidden: int = 512,
        width: int = 128,
    ) -> None:
        super().__init__(encoders, views=2, hidden=hidden, width=width)
        self.first, self.last = momentum, final_momentum
        self.copied, self.predictor = MomentumCopy(self.head), Predictor(width=width, hidden=hidden)
        self.loss = NegativeCosine()

    def begin(self, clock: Clock) -> None:
        """Sets the momentum of the coming update."""
        self.momentum = cosine_momentum(self.first, self.last, clock.progress)

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Predictions from each view."""
        return self.through(self._predict, encoders(batch, self.views()), batch, together=encoders.together)

    def targets(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """What the momentum copies make of each view."""
        seen = encoders.momentum(batch, self.views())
        found = self.through(self.copied, seen, batch, together=encoders.together)
        return {f"target {name}": output for name, output in found.items()}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Squared distance of each view's predictions to the other view's targets, on the unit sphere."""
        terms = {}
        for name, pair in zip(self.views(), self.positive_pairs(out), strict=True):
            cosines = self.loss(*pair)
            terms[name] = 0.5 * replace(cosines, total=2 * (cosines.count + cosines.total))
        return terms

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Moves the copy of the head."""
        self.copied.update(self.head, self.momentum)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Each view's predictions with the other view's targets, for the rows that have the field."""
        one, two = self.views()
        return [(self.having(out[a]), self.having(out[f"target {b}"])) for a, b in ((one, two), (two, one))]

    def _predict(self, features: Tensor) -> Tensor:
        return self.predictor(self.head(features))
