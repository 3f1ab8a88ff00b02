"""Masked spans of time series."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.random_streams import drawn, share
from kontrast.data.masking import Masked, Masking, along

SPAN = 8
"""Instants that are hidden together."""


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


MASKING = Masking(0.3, hide_instants, along, lambda facts: facts["channels"], "weak")
