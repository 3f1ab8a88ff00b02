"""Negative cosine: a prediction is to point where its target does; the loss of BYOL and SimSiam."""

import torch

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine.normalize import sphere
from kontrast.losses.engine.reduction import collapse


class NegativeCosine(AlignmentLoss):
    """L_k = -cos(p_k, sg(t_k)), the mean over pairs: SimSiam (arXiv:2011.10566). BYOL's is 2 + 2 L (arXiv:2006.07733).

    `one` are predictions, `two` targets: no gradient reaches them unless `stop` is False. Symmetric use takes it
    twice, each weighed 1/2.
    """

    def __init__(self, *, stop: bool = True) -> None:
        super().__init__()
        self.stop = stop

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """The equation above."""
        p, t = sides(self, one, two)
        cos = (sphere(p) * sphere(t.detach() if self.stop else t)).sum(1)
        return LossTerm(-collapse(cos), collapse(torch.ones_like(cos)))
