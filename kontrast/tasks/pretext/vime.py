"""VIME: which columns of a row were replaced, and what stood there, is predicted from the changed row."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.tasks.one_field import OneField
from kontrast.tasks.task import Output


class VIME(OneField):
    """Estimates the mask and the features of a table's row from a view in which some columns come from other rows.

    Take it for tables without labels, alone or beside a contrast. The share of replaced columns is the setting
    `corrupt` of the table (0.3 in the paper). The served embedding is the encoder's.

    Args:
        encoders: Facts of the encoder.
        alpha: Weight of the features against the mask.

    Raises:
        UserError: a field that is no table.

    Equation:
        L = mean_c BCE(s_c, [x_c was replaced]) + alpha mean_f (s_f - x_f)^2

    Reference:
        Yoon et al., "VIME: Extending the Success of Self- and Semi-supervised Learning to Tabular Domain", NeurIPS
        2020.

    Example:
        >>> info = EncoderInfo({"t": 64}, modalities={"t": "table"}, facts={"t": {"column_sizes": [10, 3]}})
        >>> VIME(info).head.width
        15
    """

    strength = "light"

    def __init__(self, encoders: EncoderInfo, *, alpha: float = 2.0) -> None:
        (field,) = encoders.fields
        if encoders.modalities.get(field) != "table":
            raise UserError(
                f"task 'vime' takes a table; found '{field}', a field of {encoders.modalities.get(field, 'no')} kind. "
                "For other fields take 'masked'."
            )
        if alpha < 0:
            raise UserError(f"task 'vime': alpha={alpha}; expected 0 or more.")
        sizes = encoders.facts[field]["column_sizes"]
        super().__init__(encoders, views=1, hidden=0, width=len(sizes) + sum(sizes))
        self.alpha, self.columns = alpha, len(sizes)
        self.register_buffer("column_F", torch.repeat_interleave(torch.tensor(sizes)), persistent=False)

    column_F: torch.Tensor

    def views(self) -> dict[str, ViewSpec]:
        """The row with replaced columns, and as it is."""
        return {"changed": ViewSpec(self.field, self.role), "whole": ViewSpec(self.field, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Estimates (B, C + F), and the keys `replaced` (B, C) and `wanted` (B, F)."""
        whole, changed = batch.views["whole"].data, batch.views["changed"].data
        differs = (whole != changed).to(whole.dtype)
        replaced = differs.new_zeros(len(differs), self.columns).index_add_(1, self.column_F, differs) > 0
        found = self.through(self.head, encoders(batch, ["changed"]), batch, together=encoders.together)
        keys = {"replaced": replaced, "wanted": whole}
        return {name: Output(out.z, name, keys) for name, out in found.items()}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Errors of the mask and of the features of this rank's rows."""
        rows = self.stacked(out)
        mask, features = rows.z.split([self.columns, len(self.column_F)], 1)
        replaced, wanted = rows.keys["replaced"].to(mask.dtype), rows.keys["wanted"].to(features.dtype)
        wrong = F.binary_cross_entropy_with_logits(mask, replaced, reduction="sum")
        level = F.binary_cross_entropy_with_logits(torch.zeros_like(mask), replaced, reduction="sum")
        terms = {"mask": LossTerm(wrong, exact(mask.new_tensor(mask.numel())), chance=level)}
        if self.alpha:
            errors, flat = (features - wanted).square().sum(), wanted.square().sum()
            count = exact(features.new_tensor(features.numel()))
            terms["features"] = self.alpha * LossTerm(errors, count, chance=flat)
        return terms

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """None: estimates are no embeddings."""
        return []
