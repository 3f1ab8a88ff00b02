"""Classification: the classes of a row, or its several labels, are predicted from the encoder's features."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch.nn.functional as F
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.tasks.prediction import Prediction


class Classification(Prediction):
    """Predicts the class of each row, or each of its labels.

    Take it alone as the supervised baseline, or beside a contrast that lacks labels for most rows
    (`--task simclr --task classification:rows=labelled,weight=0.5`). Rows without a class, or without any label, give
    no loss. Rows of MixUp and CutMix are learned with the shares of their classes. The served embedding is the
    encoder's.

    Args:
        encoders: Facts of the encoder.
        target_facts: Kind of target -> its facts, of the data.
        target: "label": one class per row, softmax cross-entropy. "labels": any number per row, binary cross-entropy,
            averaged over the labels.
        smoothing: Share of a class that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567); of a
            label, over present and absent.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        views: Views of each sample.

    Raises:
        UserError: Several labels per row are mixed.

    Equation:
        L = -sum_c y_c log softmax(s)_c; of several labels mean_c [softplus(s_c) - y_c s_c]

    Example:
        >>> facts = {"label": {"classes": 3}}
        >>> Classification(EncoderInfo({"image": 64}), target_facts=facts).head.width
        3
    """

    strength = "light"

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        target_facts: Mapping[str, Mapping[str, Any]],
        target: Literal["label", "labels"] = "label",
        smoothing: Annotated[float, Range(0, 1)] = 0.0,
        hidden: int = 0,
        views: int = 1,
    ) -> None:
        classes = target_facts.get(target, {}).get("classes", 1)
        super().__init__(encoders, views=views, hidden=hidden, width=classes)
        self.target, self.smoothing, self.needs = target, smoothing, frozenset({target})

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Cross-entropy of the rows of this rank whose target is known."""
        rows = self.stacked(out)
        wanted = self._wanted(rows.keys)
        known = (wanted > 0).any(1)
        scores, wanted = rows.z[known], wanted[known].to(rows.z.dtype)
        count = exact(known.sum())
        if self.target == "label":
            loss = F.cross_entropy(scores, wanted, reduction="sum", label_smoothing=self.smoothing)
            return {"classes": LossTerm(loss, count, chance=count * math.log(scores.shape[1]))}
        wanted = wanted * (1 - self.smoothing) + self.smoothing / 2
        loss = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none").mean(1).sum()
        return {"labels": LossTerm(loss, count, chance=count * math.log(2))}

    def _wanted(self, keys: Mapping[str, Tensor]) -> Tensor:
        """Share of each class, (B, C); zeros if unknown."""
        if "lambda" in keys and self.target == "labels":
            raise UserError("task 'classification': rows of several labels cannot be mixed; leave out its mixing.")
        if self.target == "labels" or "lambda" in keys:
            return keys["labels" if self.target == "labels" else "soft"]
        label = keys["label"]
        return F.one_hot(label.clamp_min(0), self.head.width) * (label >= 0)[:, None]
