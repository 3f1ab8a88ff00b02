"""Encoder of TS2Vec: dilated convolutions over projected instants, pooled by their maximum.

Axis letters: B rows, C channels, T instants, H features of an instant.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features


class DilatedCNN(Encoder):
    """Dilated convolutions of TS2Vec: one vector per instant, and their maximum over time.

    Take it with the task `ts2vec`, or wherever every instant needs a vector: nothing is strided. `tcn` merges instants
    of long series and normalises in between; it computes less.

    Instants are projected one by one; where all channels are missing, the projection is replaced by zeros, so that an
    instant hidden in training looks like a gap. What follows the end of a row is set to zero before every convolution,
    so that features do not depend on the padding of the batch.

    Args:
        channels: Channels of the series; from the data.
        hidden: Features inside. 64 as in the paper.
        out: Features of an instant, which is also the width. 320 as in the paper.
        depth: Residual blocks before the last, dilated 1, 2, 4, ... 10 as in the paper, so that an instant sees 4,094
            others on either side.
        dropout: Of the features, in training. 0.1 as in the authors' code.
        causal: Whether an instant sees only itself and the past, up to 8,188 instants; so that a task can predict what
            follows. The pooled maximum is over all instants either way.

    Raises:
        UserError: A setting outside its range.

    Reference:
        Yue et al. 2022, arXiv:2106.10466.

    Example:
        >>> import torch
        >>> DilatedCNN(channels=2)(torch.zeros(3, 2, 50)).dense.shape
        torch.Size([3, 50, 320])
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        hidden: int = 64,
        out: int = 320,
        depth: int = 10,
        dropout: float = 0.1,
        causal: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("hidden", hidden), ("out", out), ("depth", depth)):
            if value < 1:
                raise UserError(f"dilated_cnn: {name}={value}; expected at least 1.")
        if not 0 <= dropout < 1:
            raise UserError(f"dilated_cnn: dropout={dropout}; expected a number from 0 to below 1.")
        self.width = self.dense_width = out
        self.causal = causal
        self.enter = nn.Linear(channels, hidden)
        widths = pairwise([*[hidden] * (depth + 1), out])
        self.blocks = nn.ModuleList(
            _Block(before, after, 2**i, last=i == depth, causal=causal) for i, (before, after) in enumerate(widths)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Features:
        """Features of every instant, and their maximum over the instants of each row.

        Args:
            x: (B, C, T), NaN for gaps and after the end of a row.

        Returns:
            Pooled (B, width), zeros for a row that holds only NaN; dense (B, T, width), of which the instants up to the
            last value of the row exist, gaps between values included.
        """
        return self._features(x, x.shape[-1])

    def until(self, x: Tensor, ends_B: Tensor) -> Features:
        """Features of series whose ends are given: a missing instant before the end is a hidden one."""
        return self._features(x, x.shape[-1], ends_B)

    def traced(self, x: Tensor) -> Tensor:
        """Computes the pooled features; every convolution has all of its taps, whatever the length."""
        return self._features(x, None).pooled

    def recompute(self) -> bool:
        """Keeps only what lies between residual blocks; always possible."""
        self.recomputes = True
        return True

    def _features(self, x: Tensor, length: int | None, ends_B: Tensor | None = None) -> Features:
        known = x.isfinite().any(1, keepdim=True).to(x.dtype)  # (B, 1, T)
        if ends_B is None:
            inside = known.flip(-1).cummax(-1).values.flip(-1)  # 1 up to the last value
        else:
            inside = (torch.arange(x.shape[-1], device=x.device) < ends_B[:, None, None]).to(x.dtype)
        h = self.enter(x.nan_to_num(0.0).mT).mT * known
        for block in self.blocks:
            again = self.recomputes and h.requires_grad
            h = (
                checkpoint(block, h, inside, length, use_reentrant=False, preserve_rng_state=False)
                if again
                else block(h, inside, length)
            )
        h, exists = self.dropout(h), inside > 0
        highest = h.masked_fill(~exists, -math.inf).amax(-1)
        return Features(highest.masked_fill(~exists.any(-1), 0.0), h.mT, exists[:, 0])


class _Block(nn.Module):
    """Adds two dilated convolutions of x to x, zero after the end of a row: (B, H, T) -> (B, H', T)."""

    def __init__(self, before: int, after: int, dilation: int, *, last: bool, causal: bool) -> None:
        super().__init__()
        self.dilation, self.causal = dilation, causal
        around = 0 if causal else dilation
        self.first = nn.Conv1d(before, after, 3, padding=around, dilation=dilation)
        self.second = nn.Conv1d(after, after, 3, padding=around, dilation=dilation)
        self.skip = nn.Conv1d(before, after, 1) if last or before != after else nn.Identity()

    def forward(self, x: Tensor, inside: Tensor, length: int | None) -> Tensor:
        h = self._convolved(self.first, F.gelu(x), length) * inside
        h = self._convolved(self.second, F.gelu(h), length)
        return (self.skip(x) + h) * inside

    def _convolved(self, conv: nn.Conv1d, x: Tensor, length: int | None) -> Tensor:
        if length is None or self.dilation < length:
            return conv(F.pad(x, (2 * self.dilation, 0)) if self.causal else x)
        own = 2 if self.causal else 1
        return F.conv1d(x, conv.weight[:, :, own : own + 1], conv.bias)  # the other taps see nothing but padding
