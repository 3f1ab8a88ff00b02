"""Features of a batch of views: one vector per row, and one per position of it."""

from typing import NamedTuple

from torch import Tensor


class Features(NamedTuple):
    """What an encoder returns.

    Axis letters: B rows, D width, P positions, E dense width.

    Attributes:
        pooled: One vector per row, (B, D).
        dense: One vector per position, (B, P, E): places of the last map of an image row by row from the top left,
            instants of a series, tokens of a text, in their order. None if the encoder has none.
        mask: Which positions exist, (B, P) bool; dense features elsewhere mean nothing. None: all exist.
    """

    pooled: Tensor
    dense: Tensor | None = None
    mask: Tensor | None = None
