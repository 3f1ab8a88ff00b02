"""Masked columns of tables.

Axis letters: B rows, C columns, P most features of a column, F features of all columns.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.data.masking import Masked, Masking


def hide_columns(x: Tensor, stream_B: Tensor, part: float, facts: Mapping[str, Any]) -> Masked:
    """Hides columns of tables (B, F), as missing; at least one per row that has any, and never one that is missing.

    The numbers to predict are the features of a column, filled up with zeros.
    """
    sizes = torch.tensor(facts["column_sizes"], device=x.device)
    ends = sizes.cumsum(0)
    column_F = torch.repeat_interleave(torch.arange(len(sizes), device=x.device), sizes)
    there = x[:, ends - 1] == 0
    u = random_streams.uniform(random_streams.fork(stream_B, 0), len(sizes)).masked_fill(~there, 2.0)
    hidden = ((u < part) | (u == u.amin(1, keepdim=True))) & (u < 1)
    gone = x.new_zeros(x.shape[1]).index_fill(0, ends - 1, 1.0)
    place = torch.arange(int(sizes.max()), device=x.device)
    at = torch.where(place < sizes[:, None], (ends - sizes)[:, None] + place, x.shape[1])
    wanted = torch.nn.functional.pad(x, (0, 1))[:, at]
    return Masked(torch.where(hidden[:, column_F], gone, x), hidden, wanted.masked_fill(~hidden[..., None], 0.0))


def as_they_are(dense: Tensor, positions: int) -> Tensor:
    """(B, C, E): encoders of tables give a vector per column."""
    return dense


MASKING = Masking(0.3, hide_columns, as_they_are, lambda facts: max(facts["column_sizes"]), "original")
