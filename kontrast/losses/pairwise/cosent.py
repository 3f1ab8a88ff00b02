"""CoSENT: cosines of text pairs ordered as their gold scores."""

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.normalize import sphere
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import input_checks
from kontrast.losses.pairwise.pair_order import ranked


class CoSENT(AlignmentLoss):
    """CoSENT: cosines of text pairs ordered as their gold scores.

    Take it for pairs with graded similarity (STS scores), of which only the order is read; it beats regression of the
    cosine. For pairs without scores take `InfoNCE`. Needs the rows of all processes: every pair is compared with every
    other, by sorting.

    Args:
        scale: Inverse temperature; 20 as in the authors' code and in sentence-transformers.
        key: Name of the gold scores among the keys of the first side.

    Shape:
        Two sides (N, D), normalised here, with gold scores (N,) -> a term with count 1, or 0 if all golds are equal.

    Raises:
        UserError: `scale` is not above 0, or the sides differ in shape.

    Equation:
        L = log(1 + sum over pairs k, l with gold_k > gold_l of e^{scale (cos_l - cos_k)})

    Reference:
        Su 2022, "CoSENT"; Huang et al. 2024, IEEE/ACM TASLP 32.

    Example:
        >>> from kontrast.losses.engine.adapters import rows
        >>> one = rows(torch.eye(2), {"score": torch.tensor([0.9, 0.1])})  # pair 0 should score higher
        >>> two = rows(torch.eye(2)[[0, 0]], view=1)
        >>> round(CoSENT()(one, two).value().item(), 4)  # cosines 1 and 0: log(1 + e^-20)
        0.0
    """

    whole = True

    def __init__(self, *, scale: float = 20.0, key: str = "score") -> None:
        super().__init__()
        self.scale, self.key = input_checks.number(scale, "cosent: scale", above=0), key

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Computes the loss of all pairs of the batch."""
        x, y = (sphere(z) for z in sides(self, one, two))
        return LossTerm(*ranked(self.scale * (x * y).sum(1), one.keys[self.key]))
