"""Small copies of rows, which reconstruction predicts; each modality has its own."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor


class Miniature(NamedTuple):
    """How a modality is made small.

    Attributes:
        of: Unaugmented view (B, ...), facts of the modality -> (B, N) numbers, NaN if unknown, or token ids, -1 for
            none.
        numbers: Numbers that are predicted per row, from the facts; for tokens the vocabulary.
        tokens: Whether ids of tokens are predicted, rather than numbers. Default: False.
    """

    of: Callable[[Tensor, Mapping[str, Any]], Tensor]
    numbers: Callable[[Mapping[str, Any]], int]
    tokens: bool = False
