"""Small images that reconstruction predicts."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from kontrast.data.miniature import Miniature

SIDE = 8
"""Pixels per side."""


def small_images(x: Tensor, facts: Mapping[str, Any]) -> Tensor:
    """Images (B, C, S, S) averaged down to (B, C 8 8); smaller ones stay as they are."""
    return F.adaptive_avg_pool2d(x, _side(facts)).flatten(1)


def _side(facts: Mapping[str, Any]) -> int:
    return min(SIDE, facts["size"])


MINIATURE = Miniature(small_images, lambda facts: facts["channels"] * _side(facts) ** 2)
