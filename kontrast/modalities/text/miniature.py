"""Bags of tokens that reconstruction predicts."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kontrast.data.miniature import Miniature


def bags(x: Tensor, facts: Mapping[str, Any]) -> Tensor:
    """Tokens of texts (B, L), -1 for special ones and after the end."""
    special = torch.tensor(list(facts.get("special", ())), device=x.device, dtype=x.dtype)
    return x.masked_fill((x < 0) | torch.isin(x, special), -1)


MINIATURE = Miniature(bags, lambda facts: facts["vocabulary"], tokens=True)
