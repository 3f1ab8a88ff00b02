"""AnglE: text pairs ordered by the angle between them in the complex plane, where the cosine has no flat ends."""

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import input_checks
from kontrast.losses.kernels import angle
from kontrast.losses.pairwise.pair_order import ranked


class AnglE(AlignmentLoss):
    """log(1 + sum over pairs k, l with gold_k > gold_l of e^{scale (A_l - A_k)}), Li & Li 2023 (arXiv:2309.12871).

    The halves of a row are the real and imaginary parts of z and w; A = |sum Re + sum Im| of z / w over |z| / |w|, as
    the authors' code has it: z conj(w) / (|z| |w|), which is |cos + sin|. Its two neighbours in the paper, CoSENT on
    cosines and InfoNCE, are terms of their own. `scale` is 20 in the paper (tau 0.05). Needs the whole batch, as
    CoSENT.
    """

    whole = True

    def __init__(self, *, scale: float = 20.0, key: str = "score") -> None:
        super().__init__()
        self.key = key
        self.kernel = angle.Angle(temperature=1 / input_checks.number(scale, "angle: scale", above=0))

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """The equation above."""
        z, w = self.kernel(*sides(self, one, two))
        return LossTerm(*ranked((z * w).sum(1).abs(), one.keys[self.key]))
