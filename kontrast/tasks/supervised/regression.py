"""Regression: the number of a row is predicted from the encoder's features."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch.nn.functional as F

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.tasks.prediction import Prediction


class Regression(Prediction):
    """Predicts the number of each row.

    Take it alone as the supervised baseline, or beside a contrast. The number is standardised by the mean and standard
    deviation of the training rows, so that losses of different columns have one scale. Rows without a number give no
    loss. The served embedding is the encoder's.

    Args:
        encoders: Facts of the encoder.
        target_facts: Kind of target -> its facts, of the data.
        loss: "squared": half the squared error. "huber": half the squared error up to `delta`, linear beyond; for
            numbers with outliers.
        delta: Where "huber" becomes linear, in standard deviations of the numbers.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        views: Views of each sample.

    Equation:
        L = r^2 / 2, r = s - (y - mean) / std; huber: delta (|r| - delta / 2) where |r| > delta

    Reference:
        Huber, "Robust Estimation of a Location Parameter", 1964.

    Example:
        >>> facts = {"number": {"mean": 40.0, "std": 20.0}}
        >>> Regression(EncoderInfo({"image": 64}), target_facts=facts).std
        20.0
    """

    strength = "light"
    needs = frozenset({"number"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        target_facts: Mapping[str, Mapping[str, Any]],
        loss: Literal["squared", "huber"] = "squared",
        delta: Annotated[float, Range(1e-6)] = 1.0,
        hidden: int = 0,
        views: int = 1,
    ) -> None:
        super().__init__(encoders, views=views, hidden=hidden, width=1)
        facts = target_facts.get("number", {})
        self.mean, self.std = facts.get("mean", 0.0), facts.get("std", 1.0) or 1.0  # equal numbers have no deviation
        self.loss, self.delta = loss, delta

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Error of the rows of this rank whose number is known."""
        rows = self.stacked(out)
        wanted = (rows.keys["number"] - self.mean) / self.std
        known = wanted.isfinite()
        found, wanted = rows.z[known, 0], wanted[known].to(rows.z.dtype)
        if self.loss == "squared":
            loss = (found - wanted).square().sum() / 2
        else:
            loss = F.huber_loss(found, wanted, reduction="sum", delta=self.delta)
        count = exact(known.sum())
        return {"number": LossTerm(loss, count, chance=count / 2 if self.loss == "squared" else None)}
