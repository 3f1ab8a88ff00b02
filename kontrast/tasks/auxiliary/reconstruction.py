"""Reconstruction: the unaugmented row, made small, is predicted from the features of an augmented view."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.tasks.prediction import Prediction
from kontrast.tasks.task import Output


class Reconstruction(Prediction):
    """Predicts a small copy of each row from the pooled features of an augmented view.

    Take it beside a contrast, so that features keep what augmentation hides, or alone as a baseline. The small copy of
    an image has 8 x 8 pixels; that of a series 32 means over parts of the row, gaps left out; that of a text is the bag
    of its tokens. The served embedding is the encoder's.

    Args:
        encoders: Facts of the encoder.
        hidden: Width of the decoder's hidden layer; 0 for a linear decoder.

    Raises:
        UserError: A field of another modality.

    Equation:
        L = (s_n - x_n)^2, mean over known numbers n; of texts -log softmax(s)_token, mean over tokens

    Reference:
        Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 2006.

    Example:
        >>> facts = {"image": {"channels": 3, "size": 32}}
        >>> Reconstruction(EncoderInfo({"image": 64}, modalities={"image": "image"}, facts=facts)).head.width
        192
    """

    strength = "light"

    def __init__(self, encoders: EncoderInfo, *, hidden: int = 256) -> None:
        (field,) = encoders.fields
        modality, facts = encoders.modality(field), encoders.facts.get(field, {})
        small = modality and modality.miniature()
        if small is None:
            raise UserError(
                f"task 'reconstruction' takes fields whose rows have small copies, such as images; found '{field}', a "
                f"field of {encoders.modalities.get(field) or 'unknown kind'}."
            )
        super().__init__(encoders, views=1, hidden=hidden, width=small.numbers(facts), norm="layer")
        self.small, self.facts, self.tokens = small, facts, small.tokens

    def views(self) -> dict[str, ViewSpec]:
        """The field augmented, for the encoder, and unaugmented, for the target."""
        return {"seen": ViewSpec(self.field, self.role), "whole": ViewSpec(self.field, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """What the decoder makes of the augmented view, (B, numbers), and the key `wanted` of each row."""
        whole = batch.views["whole"].data
        with torch.no_grad(), torch.autocast(whole.device.type, enabled=False):
            wanted = self.small.of(whole, self.facts)
        found = self.through(self.head, encoders(batch, ["seen"]), batch, together=encoders.together)
        return {name: Output(out.z, name, {"wanted": wanted}) for name, out in found.items()}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Error of the known numbers, or of the tokens, of this rank's rows."""
        rows = self.stacked(out)
        wanted = rows.keys["wanted"]
        if self.tokens:
            bag = torch.zeros_like(rows.z)
            bag.scatter_add_(1, wanted.clamp_min(0), (wanted >= 0).to(bag.dtype))
            count = exact(bag.sum())
            loss = -(bag * F.log_softmax(rows.z, 1)).sum()
            return {"tokens": LossTerm(loss, count, chance=count * math.log(self.head.width))}
        known = wanted.isfinite()
        numbers = wanted[known].to(rows.z.dtype)
        errors = (rows.z[known] - numbers).square().sum()
        return {"numbers": LossTerm(errors, exact(known.sum()), chance=numbers.square().sum())}
