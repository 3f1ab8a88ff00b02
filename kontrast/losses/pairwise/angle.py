"""AnglE: text pairs ordered by their angle in the complex plane."""

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import input_checks
from kontrast.losses.kernels import angle
from kontrast.losses.pairwise.pair_order import ranked


class AnglE(AlignmentLoss):
    """AnglE: text pairs ordered by their angle in the complex plane.

    Take it for pairs with graded similarity (STS scores), together with `CoSENT` or InfoNCE, which the paper adds as
    terms of their own: where the cosine is flat, near 0 and 180 degrees, the angle still has a gradient. For pairs
    without scores take `InfoNCE`. The halves of a row are the real and imaginary parts. Needs the rows of all
    processes.

    Args:
        scale: Inverse temperature; 20 as in the paper (tau 0.05) and in sentence-transformers.
        key: Name of the gold scores among the keys of the first side.

    Shape:
        Two sides (N, D), D even, with gold scores (N,) -> a term with count 1, or 0 if all golds are equal.

    Raises:
        UserError: `scale` is not above 0, D is odd, or the sides differ in shape.

    Equation:
        L = log(1 + sum over pairs k, l with gold_k > gold_l of e^{scale (A_l - A_k)}), A = |sum Re + sum Im| of z
        conj(w) / (|z| |w|), which is |cos + sin|, as in the authors' code.

    Reference:
        Li & Li 2023, arXiv:2309.12871.

    Example:
        >>> from kontrast.losses.engine.adapters import rows
        >>> one = rows(torch.eye(2), {"score": torch.tensor([0.9, 0.1])})  # pair 0 should score higher
        >>> two = rows(torch.eye(2)[[0, 0]], view=1)
        >>> round(AnglE()(one, two).value().item(), 4)  # pair 0 has A = 1, pair 1 has A = |0 - 1|: log(1 + 1)
        0.6931
    """

    whole = True

    def __init__(self, *, scale: float = 20.0, key: str = "score") -> None:
        super().__init__()
        self.key = key
        self.kernel = angle.Angle(temperature=1 / input_checks.number(scale, "angle: scale", above=0))

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Computes the loss of all pairs of the batch."""
        z, w = self.kernel(*sides(self, one, two))
        return LossTerm(*ranked((z * w).sum(1).abs(), one.keys[self.key]))
