"""Negative cosine: a prediction is to point where its target does; the loss of BYOL and SimSiam."""

import torch

from kontrast.core.embeddings import Mean, Rows
from kontrast.losses.alignment_loss import Align, sides
from kontrast.losses.engine.normalize import sphere
from kontrast.losses.engine.reduction import collapse


class NegativeCosine(Align):
    """L_k = -cos(p_k, sg(t_k)), the mean over pairs: SimSiam (arXiv:2011.10566). BYOL's is 2 + 2 L (arXiv:2006.07733).

    `one` are predictions, `two` targets: no gradient reaches them unless `stop` is False. Symmetric use takes it
    twice, each weighed 1/2.
    """

    def __init__(self, *, stop: bool = True) -> None:
        super().__init__()
        self.stop = stop

    def forward(self, one: Rows, two: Rows) -> Mean:
        """The equation above."""
        p, t = sides(self, one, two)
        cos = (sphere(p) * sphere(t.detach() if self.stop else t)).sum(1)
        return Mean(-collapse(cos), collapse(torch.ones_like(cos)))
