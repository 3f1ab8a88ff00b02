"""Negative cosine of predictions and targets; the loss of SimSiam and BYOL."""

import torch

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.normalize import sphere
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine.reduction import collapse


class NegativeCosine(AlignmentLoss):
    """Negative cosine of predictions and targets; the loss of SimSiam and BYOL.

    Take it with a predictor and a stop-gradient (SimSiam) or a moving-average target network (BYOL); without either it
    collapses. Needs no negatives, so small batches suffice. For symmetric use take it twice, each weighed 1/2. BYOL's
    loss is 2 + 2 L.

    Args:
        stop: Whether targets get no gradient; True as in both papers.

    Shape:
        Predictions (N, D) and targets (N, D), normalised here -> a sum over N pairs and its count N.

    Raises:
        UserError: The two sides differ in shape.

    Equation:
        L_k = -cos(p_k, sg(t_k)), averaged over pairs.

    Reference:
        SimSiam arXiv:2011.10566; BYOL arXiv:2006.07733.

    Example:
        >>> from kontrast.losses.engine.adapters import rows
        >>> one, two = rows(torch.eye(2)), rows(torch.eye(2), view=1)
        >>> round(NegativeCosine()(one, two).value().item(), 4)  # equal directions
        -1.0
    """

    def __init__(self, *, stop: bool = True) -> None:
        super().__init__()
        self.stop = stop

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Sum over pairs and their count."""
        p, t = sides(self, one, two)
        cos = (sphere(p) * sphere(t.detach() if self.stop else t)).sum(1)
        return LossTerm(-collapse(cos), collapse(torch.ones_like(cos)))
