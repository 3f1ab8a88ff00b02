"""SimSiam: from one view, predicts the embedding of the other, which gets no gradient."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.predictor import Predictor
from kontrast.losses.alignment.negative_cosine import NegativeCosine
from kontrast.tasks.one_field import OneField
from kontrast.tasks.task import Output


class SimSiam(OneField):
    """Predicts from one view the embedding of the other, with neither negatives nor momentum copies.

    Take it for data without labels if negatives are unwanted and memory for a second encoder is scarce. The encoder's
    output is evaluated and served.

    Args:
        encoders: Facts of the encoder of the one field.
        hidden: Width of the head's hidden layers; 2,048 in the paper.
        width: Width of the compared embeddings; 2,048 in the paper.
        layers: Linear layers of the head; 3 in the paper, 2 in its runs on CIFAR-10.
        bottleneck: Width of the predictor's hidden layer; a quarter of `width` in the paper.
        output_norm: Whether the head ends in a batch norm without scale, as in most runs of the paper (ImageNet: 68.1
            with, 67.4 without). It then hides a collapse: all rows of a batch but a few are alike.
        stop_gradient: Whether the embedding that is predicted gets no gradient, as in the paper. False shows what that
            is for: embeddings become constant.

    Equation:
        L = [l(p_1, z_2) + l(p_2, z_1)] / 2, l(p, z) = -cos(p, sg(z)): z_v the embedding of view v, p_v the prediction
        from it, sg no gradient.

    Reference:
        Chen & He 2021, arXiv:2011.10566.
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        hidden: int = 512,
        width: int = 512,
        layers: int = 2,
        bottleneck: int = 128,
        output_norm: bool = False,
        stop_gradient: bool = True,
    ) -> None:
        super().__init__(encoders, views=2, hidden=hidden, width=width, layers=layers, last_norm=output_norm)
        self.predictor, self.stop_gradient = Predictor(width=width, hidden=bottleneck), stop_gradient
        self.loss = NegativeCosine(stop=stop_gradient)

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Predictions from each view, and the embeddings that they are made from."""
        seen, width = encoders(batch, self.views()), self.head.width
        both = self.through(self._both, seen, batch, together=encoders.together, width=2 * width)
        out = {}
        for name, (z, view, _) in both.items():
            out |= {f"prediction {name}": Output(z[:, :width], view), name: Output(z[:, width:], view)}
        return out

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Negative cosine of each view's predictions and the other view's embeddings."""
        pairs = zip(self.views(), self.positive_pairs(out), strict=True)
        return {name: 0.5 * self.loss(*pair) for name, pair in pairs}

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Each view's predictions with the other view's embeddings, for the rows that have the field."""
        one, two = self.views()
        return [(self.having(out[f"prediction {a}"]), self.having(out[b])) for a, b in ((one, two), (two, one))]

    def collapse_causes(self) -> list[str]:
        """The missing stop-gradient, if it is missing."""
        constant = "stop_gradient=false: without a stop-gradient, a constant embedding is optimal"
        return [] if self.stop_gradient else [constant]

    def _both(self, features: Tensor) -> Tensor:
        z = self.head(features)
        return torch.cat([self.predictor(z), z.detach() if self.stop_gradient else z], dim=1)
