"""A temporal convolutional network: residual pairs of dilated convolutions, pooled over the instants that are there.

Axis letters: B rows, C channels, T instants, S instants after the stem, H hidden width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder


class Tcn(Encoder):
    """Dilated convolutions over time, for series of any length with gaps (in the spirit of TS2Vec's encoder, arXiv:2106.10466).

    A gap is fed as zero with a second channel that says so; what follows a row's end is silenced after every convolution, so that
    features do not depend on how far a batch is padded.

    hidden: channels inside. depth: residual blocks, dilated 1, 2, 4, ...; None: as many as let the last instant see the first.
    out: width of the last block. stride: instants the first convolution merges; None: so many that at most 128 are left.
    pool: what is kept of an instant's features over time.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        length: int = 128,
        hidden: int = 64,
        out: int = 256,
        depth: int | None = None,
        stride: int | None = None,
        dropout: float = 0.0,
        variant: str = "last",
        norm: bool = False,
        instants: int = 128,
    ) -> None:
        super().__init__()
        self.variant = variant
        self.stride = stride or math.ceil(length / instants)
        steps = math.ceil(length / self.stride)
        depth = depth or max(3, math.ceil(math.log2(max(steps, 2) / 4)) + 1)
        self.stem = nn.Conv1d(2 * channels, hidden, 2 * self.stride + 1, self.stride, self.stride)
        widths = [hidden] * (depth if variant == "multi" else depth - 1) + ([] if variant == "multi" else [out])
        self.blocks = nn.ModuleList(
            _Block(before, after, 2**i, dropout, norm) for i, (before, after) in enumerate(zip([hidden, *widths], widths, strict=False))
        )
        self.width = 2 * sum(widths) if variant == "multi" else 2 * out if variant == "last" else out

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) with NaN for gaps and after the end -> (B, width)."""
        known = x.isfinite()
        x = torch.cat((x.nan_to_num(0.0), known.to(x.dtype)), 1)
        some = known.any(1, keepdim=True).float()
        inside = some.flip(-1).cummax(-1).values.flip(-1)
        x = F.pad(x, (0, -x.shape[-1] % self.stride))
        x = self.stem(x)
        live, inside = (F.max_pool1d(m, self.stride, self.stride, ceil_mode=True) for m in (some, inside))
        x = x[..., : live.shape[-1]] * inside
        feats = []
        for block in self.blocks:
            x = block(x, inside)
            feats.append(x)
        if self.variant == "multi":
            x = torch.cat(feats, 1)
        top = x.masked_fill(live == 0, -math.inf).amax(-1).nan_to_num(neginf=0.0)
        mean = (x * live).sum(-1) / live.sum(-1).clamp_min(1)
        if self.variant == "max":
            return top
        if self.variant == "mean":
            return mean
        return torch.cat((top, mean), 1)


class _Block(nn.Module):
    def __init__(self, before: int, after: int, dilation: int, dropout: float, norm: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(before) if norm else None
        self.first = nn.Conv1d(before, after, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(after, after, 3, padding=dilation, dilation=dilation)
        self.skip = nn.Conv1d(before, after, 1) if before != after else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        h = self.norm1(x.transpose(1, 2)).transpose(1, 2) if self.norm1 is not None else x
        h = self.first(F.gelu(h) * inside)
        h = self.second(self.dropout(F.gelu(h)) * inside)
        return (self.skip(x) + h) * inside
