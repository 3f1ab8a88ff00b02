"""Small copies of rows that reconstruction predicts, by modality.

Axis letters: B rows, L tokens, T instants, K parts of a series, C channels, S pixels per side.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE, PARTS = 8, 32
"""Pixels per side of a small image; parts of a small series."""


class Small(NamedTuple):
    """How a modality is made small.

    Attributes:
        of: Unaugmented view, facts of the modality -> (B, N) numbers, NaN if unknown, or token ids, -1 for none.
        numbers: Numbers that are predicted per row, from the facts; for tokens the vocabulary.
    """

    of: Callable[[Tensor, Mapping[str, Any]], Tensor]
    numbers: Callable[[Mapping[str, Any]], int]


def small_images(x: Tensor, facts: Mapping[str, Any]) -> Tensor:
    """Images (B, C, S, S) averaged down to (B, C 8 8); smaller ones stay as they are."""
    return F.adaptive_avg_pool2d(x, _side(facts)).flatten(1)


def small_series(x: Tensor, facts: Mapping[str, Any]) -> Tensor:
    """Means of series (B, C, T) over equal parts of each row up to its last known instant, (B, C K).

    Parts without a known number are NaN. The length of the batch does not matter.
    """
    known, t = x.isfinite(), torch.arange(x.shape[-1], device=x.device)
    length_B1 = (known.any(1) * (t + 1)).amax(1, keepdim=True).clamp_min(1)
    part_BT = t * PARTS // length_B1
    inside_BTK = (part_BT[..., None] == torch.arange(PARTS, device=x.device)).to(x.dtype)
    sums, counts = (torch.einsum("bct,btk->bck", one, inside_BTK) for one in (x.nan_to_num(0.0), known.to(x.dtype)))
    return torch.where(counts > 0, sums / counts, math.nan).flatten(1)


def bags(x: Tensor, facts: Mapping[str, Any]) -> Tensor:
    """Tokens of texts (B, L), -1 for special ones and after the end."""
    special = torch.tensor(list(facts.get("special", ())), device=x.device, dtype=x.dtype)
    return x.masked_fill((x < 0) | torch.isin(x, special), -1)


def _side(facts: Mapping[str, Any]) -> int:
    return min(SIDE, facts["size"])


SMALL = {
    "image": Small(small_images, lambda facts: facts["channels"] * _side(facts) ** 2),
    "series": Small(small_series, lambda facts: facts["channels"] * PARTS),
    "text": Small(bags, lambda facts: facts["vocabulary"]),
}
"""Modality -> how it is made small."""
