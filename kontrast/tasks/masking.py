"""What masked prediction hides of a view, and what it predicts there, by modality.

Axis letters: B rows, P positions, L tokens, T instants, C channels, S pixels per side, G cells per side, E dense width.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core import random_streams
from kontrast.tasks.task_streams import drawn, share

SPAN, CELLS = 8, 4
"""Instants of a series that are hidden together; cells per side of an image."""


class Masked(NamedTuple):
    """A view with hidden positions.

    Attributes:
        data: The view, as it goes to the encoder.
        hidden: (B, P) bool, the positions to predict.
        wanted: (B, P) token ids, or (B, P, C) numbers.
    """

    data: Tensor
    hidden: Tensor
    wanted: Tensor


class Masking(NamedTuple):
    """How a modality is masked.

    Attributes:
        share: Usual share of hidden positions.
        hide: View, stream per row, share, facts of the modality -> the masked view.
        place: Dense features (B, P', E) of the encoder, number of positions -> (B, P, E).
        values: Numbers predicted per position, from the facts; for tokens their number.
        role: Role of the view.
    """

    share: float
    hide: Callable[[Tensor, Tensor, float, Mapping[str, Any]], Masked]
    place: Callable[[Tensor, int], Tensor]
    values: Callable[[Mapping[str, Any]], int]
    role: Any


def hide_tokens(x: Tensor, stream_B: Tensor, part: float, facts: Mapping[str, Any]) -> Masked:
    """Hides tokens of texts (B, L), -1 after the end; at least one per text.

    The mask token of the tokenizer stands for them; without one, a random token. Special tokens stay.
    """
    u = random_streams.uniform(random_streams.fork(stream_B, 0), x.shape[1])
    special = torch.tensor(list(facts.get("special", ())), device=x.device, dtype=x.dtype)
    u = u.masked_fill((x < 0) | torch.isin(x, special), 2.0)
    hidden = ((u < part) | (u == u.amin(1, keepdim=True))) & (u < 1)
    other = share(drawn(random_streams.fork(stream_B, 1), x.shape[1]), facts["vocabulary"])
    shown = other if facts.get("mask") is None else torch.full_like(x, facts["mask"])
    return Masked(torch.where(hidden, shown, x), hidden, x.masked_fill(~hidden, 0))


def hide_instants(x: Tensor, stream_B: Tensor, part: float, facts: Mapping[str, Any]) -> Masked:
    """Hides spans of series (B, C, T), as gaps; the last known instant stays, which marks the end of a row."""
    t = torch.arange(x.shape[-1], device=x.device)
    known = x.isfinite().any(1)
    last = t == (known * t).amax(1, keepdim=True)
    span = min(SPAN, max(1, x.shape[-1] // 4))
    begin = share(drawn(random_streams.fork(stream_B, 0), 1), span)
    u = random_streams.uniform(random_streams.fork(stream_B, 1), x.shape[-1] // span + 2)
    hidden = (u.gather(1, (t + begin) // span) < part) & known & ~last
    wanted = x.masked_fill(~hidden[:, None], 0.0).nan_to_num(0.0)
    return Masked(x.masked_fill(hidden[:, None], math.nan), hidden, wanted.mT)


def hide_cells(x: Tensor, stream_B: Tensor, part: float, facts: Mapping[str, Any]) -> Masked:
    """Hides cells of images (B, C, S, S) as zeros, the mean colour; the same number of each image."""
    B, C, side = len(x), x.shape[1], x.shape[-1] // CELLS
    number = min(CELLS**2 - 1, max(1, round(part * CELLS**2)))
    hidden = random_streams.uniform(stream_B, CELLS**2).argsort(1).argsort(1) < number
    whole = x[..., : side * CELLS, : side * CELLS]
    cells = whole.unflatten(3, (CELLS, side)).unflatten(2, (CELLS, side)).permute(0, 2, 4, 1, 3, 5)
    over = hidden.view(B, 1, CELLS, CELLS).repeat_interleave(side, 2).repeat_interleave(side, 3)
    rest = (0, x.shape[-1] - side * CELLS)
    return Masked(x.masked_fill(F.pad(over, rest * 2), 0.0), hidden, cells.reshape(B, CELLS**2, C * side**2))


def along(dense: Tensor, positions: int) -> Tensor:
    """The vector of the time that each position lies in: (B, P', E) -> (B, P, E); an encoder may merge instants."""
    at = torch.arange(positions, device=dense.device) * dense.shape[1] // max(positions, 1)
    return dense[:, at]


def over_cells(dense: Tensor, positions: int) -> Tensor:
    """Means of a square map over cells, (B, P', E) -> (B, P, E), both row by row."""
    side, cells = math.isqrt(dense.shape[1]), math.isqrt(positions)
    if side == cells:
        return dense
    eye = torch.eye(side, device=dense.device, dtype=dense.dtype)
    mean = F.adaptive_avg_pool1d(eye, cells)  # by matrices, since no GPU pools deterministically
    return torch.einsum("ip,jq,bije->bpqe", mean, mean, dense.unflatten(1, (side, side))).flatten(1, 2)


def _pixels(facts: Mapping[str, Any]) -> int:
    return facts["channels"] * (facts["size"] // CELLS) ** 2


MASKINGS = {
    "text": Masking(0.15, hide_tokens, along, lambda facts: facts["vocabulary"], "original"),
    "series": Masking(0.3, hide_instants, along, lambda facts: facts["channels"], "weak"),
    "image": Masking(0.5, hide_cells, over_cells, _pixels, "weak"),
}
"""Modality -> how it is masked."""
