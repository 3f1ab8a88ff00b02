"""Alignment: distance between views of a sample on the unit sphere."""

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.normalize import sphere
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import input_checks


class Alignment(AlignmentLoss):
    """Alignment: distance between views of a sample on the unit sphere.

    Take it with `Uniformity` (`kt.losses.AlignUniform`); alone it collapses to one point.

    Args:
        power: Exponent of the distance, above 0; 2 as in the paper.

    Shape:
        Two views (N, D), normalised here -> a sum over N pairs and its count N.

    Raises:
        UserError: `power` is not above 0, or the views differ in shape.

    Equation:
        L_k = |x_k - y_k|^power of normalised rows, averaged over pairs.

    Reference:
        Wang & Isola 2020, arXiv:2005.10242.

    Example:
        >>> from kontrast.losses.engine.adapters import rows
        >>> one, two = rows(torch.eye(2)), rows(torch.eye(2).flip(0), view=1)
        >>> round(Alignment()(one, two).value().item(), 4)  # squared distance of two axes
        2.0
    """

    def __init__(self, *, power: float = 2.0) -> None:
        super().__init__()
        self.power = input_checks.number(power, "alignment: power", above=0)

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Sum over pairs and their count; the square is floored, since a root has no slope at 0."""
        x, y = (sphere(z) for z in sides(self, one, two))
        square = (x - y).square().sum(1)
        each = square if self.power == 2 else square.clamp_min(1e-12) ** (self.power / 2)
        return LossTerm(each.sum(), each.new_tensor(len(each)))
