"""How masked prediction hides parts of a view, and what it predicts there; each modality has its own.

Axis letters: B rows, P positions, E dense width.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kontrast.data.view import Role


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
        tokens: Whether ids of tokens are predicted, rather than numbers. Default: False.
    """

    share: float
    hide: Callable[[Tensor, Tensor, float, Mapping[str, Any]], Masked]
    place: Callable[[Tensor, int], Tensor]
    values: Callable[[Mapping[str, Any]], int]
    role: Role
    tokens: bool = False


def along(dense: Tensor, positions: int) -> Tensor:
    """The vector of the time that each position lies in: (B, P', E) -> (B, P, E); an encoder may merge instants."""
    at = torch.arange(positions, device=dense.device) * dense.shape[1] // max(positions, 1)
    return dense[:, at]
