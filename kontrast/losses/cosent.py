"""CoSENT: cosines of text pairs are to be in the order of their gold scores."""

from kontrast.core.rows import Mean, Rows
from kontrast.losses import door
from kontrast.losses.align import Align, sides
from kontrast.losses.ranked import ranked
from kontrast.losses.sphere import sphere


class Cosent(Align):
    """log(1 + sum over pairs k, l with gold_k > gold_l of e^{scale (cos_l - cos_k)}) (Su 2022; Huang et al. 2024,
    TASLP 32).

    `key` names the gold scores among the keys of `one`; only their order matters. Needs the whole batch: every pair
    is compared with every other, by sorting. A batch of equal golds says nothing and does not count.
    """

    whole = True

    def __init__(self, *, scale: float = 20.0, key: str = "score") -> None:
        super().__init__()
        self.scale, self.key = door.number(scale, "cosent: scale", above=0), key

    def forward(self, one: Rows, two: Rows) -> Mean:
        """The equation above."""
        x, y = (sphere(z) for z in sides(self, one, two))
        return Mean(*ranked(self.scale * (x * y).sum(1), one.keys[self.key]))
