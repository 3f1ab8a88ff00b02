"""Any loss with a margin: positives must win by more than nothing."""

import torch
from torch import Tensor

from kontrast.losses.infonce import Infonce
from kontrast.losses.loss import Contrast
from kontrast.losses.weights import Weights


class Margined(Contrast):
    """The inner loss (`Infonce` unless given) of S_ij - margin wherever j attracts i; the margin is in units of S.

    An additive cosine margin m is margin = m / temperature: CosFace (arXiv:1801.09414) where candidates are class
    centres. A margin from class frequencies is logit adjustment instead, a weight of candidates: `Weighed(prior,
    what="among")`.
    """

    def __init__(self, *, loss: Contrast | None = None, margin: float = 1.0) -> None:
        super().__init__()
        self.loss = loss or Infonce()
        self.margin = margin

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        """Whom the inner loss counts."""
        return self.loss.counted(attract, among)

    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """The inner loss of the moved similarities."""
        return self.loss.per_anchor(self._moved(similarity.clone(), attract), attract, among)

    def slope(self, similarity: Tensor, attract: Weights, among: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """The inner loss's: the margin is constant."""
        return self.loss.slope(self._moved(similarity.detach(), attract), attract, among, weight)

    def _moved(self, s: Tensor, attract: Weights) -> Tensor:
        if attract.at is None:
            return s.sub_((attract.dense() != 0).to(s.dtype), alpha=self.margin)
        pulls = attract.values != 0
        i, j = (side[pulls] for side in attract.at)
        return s.index_put_((torch.arange(len(s), device=s.device)[:, None], i, j), s.new_tensor(-self.margin), True)
