"""AnglE: text pairs ordered by the angle between them in the complex plane, where the cosine has no flat ends."""

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.rows import Mean, Rows
from kontrast.losses.align import Align, sides
from kontrast.losses.ranked import ranked
from kontrast.losses.sphere import sphere


class Angle(Align):
    """log(1 + sum over pairs k, l with gold_k > gold_l of e^{scale (A_l - A_k)}), Li & Li 2023 (arXiv:2309.12871).

    The halves of a row are the real and imaginary parts of z and w; A = |sum Re + sum Im| of z / w over |z| / |w|, as
    the authors' code has it: z conj(w) / (|z| |w|), which is |cos + sin|. Its two neighbours in the paper, CoSENT on
    cosines and InfoNCE, are terms of their own. `scale` is 20 in the paper (tau 0.05). Needs the whole batch, as
    CoSENT.
    """

    whole = True

    def __init__(self, *, scale: float = 20.0, key: str = "score") -> None:
        super().__init__()
        self.scale, self.key = scale, key

    def forward(self, one: Rows, two: Rows) -> Mean:
        """The equation above."""
        z, w = sides(self, one, two)
        if z.shape[1] % 2:
            raise UserError(f"angle: embeddings of width {z.shape[1]}; expected an even width, two halves.")
        return Mean(*ranked(self.scale * _alike(sphere(z), sphere(w)), one.keys[self.key]))


def _alike(z: Tensor, w: Tensor) -> Tensor:
    (a, b), (c, d) = z.chunk(2, 1), w.chunk(2, 1)
    return (a * c + b * d + b * c - a * d).sum(1).abs()
