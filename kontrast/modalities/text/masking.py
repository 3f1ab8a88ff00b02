"""Masked tokens of texts."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.random_streams import drawn, share
from kontrast.data.masking import Masked, Masking, along


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


MASKING = Masking(0.15, hide_tokens, along, lambda facts: facts["vocabulary"], "original", tokens=True)
