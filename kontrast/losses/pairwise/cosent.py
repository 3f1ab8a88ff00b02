"""CoSENT: cosines of text pairs are to be in the order of their gold scores."""

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.normalize import sphere
from kontrast.losses.pairwise.pair_order import ranked


class CoSENT(AlignmentLoss):
    """log(1 + sum over pairs k, l with gold_k > gold_l of e^{scale (cos_l - cos_k)}) (Su 2022; Huang et al. 2024,
    TASLP 32).

    `key` names the gold scores among the keys of `one`; only their order matters. Needs the whole batch: every pair
    is compared with every other, by sorting. A batch of equal golds says nothing and does not count.
    """

    whole = True

    def __init__(self, *, scale: float = 20.0, key: str = "score") -> None:
        super().__init__()
        self.scale, self.key = input_checks.number(scale, "cosent: scale", above=0), key

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """The equation above."""
        x, y = (sphere(z) for z in sides(self, one, two))
        return LossTerm(*ranked(self.scale * (x * y).sum(1), one.keys[self.key]))
