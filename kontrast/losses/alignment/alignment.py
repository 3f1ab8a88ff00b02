"""Alignment: how far views of one sample lie apart on the sphere."""

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.normalize import sphere


class Alignment(AlignmentLoss):
    """L_k = |x_k - y_k|^power of normalised rows, the mean over pairs: Wang & Isola 2020 (arXiv:2005.10242). With
    `Uniformity`.
    """

    def __init__(self, *, power: float = 2.0) -> None:
        super().__init__()
        self.power = input_checks.number(power, "alignment: power", above=0)

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """The equation above; the square is floored, since a root has no slope at 0."""
        x, y = (sphere(z) for z in sides(self, one, two))
        square = (x - y).square().sum(1)
        each = square if self.power == 2 else square.clamp_min(1e-12) ** (self.power / 2)
        return LossTerm(each.sum(), each.new_tensor(len(each)))
