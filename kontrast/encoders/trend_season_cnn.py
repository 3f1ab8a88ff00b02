"""Encoder of CoST: instants of dilated convolutions, disentangled into trend and season.

Axis letters: B rows, C channels, T instants, H features of the convolutions, F frequencies, D half of the output.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.encoders.dilated_cnn import DilatedCNN
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

LONGEST = 128  # instants of the longest convolution of the trend, as in the authors' code


class TrendSeasonCNN(Encoder):
    """Trend and season of each instant side by side, from the dilated convolutions of TS2Vec.

    Take it with the task `cost`, to forecast. The first half of a dense vector is the trend: the mean of convolutions
    over the last 1, 2, 4, ... instants. The second half is the season: the Fourier spectrum of the whole row, changed
    by a matrix per frequency, and back in time. A row is pooled by the maximum over its instants; forecasts take the
    vectors of instants (`run.embed_instants`). The spectrum is that of the longest training row, shorter rows end in
    zeros, so that a frequency means the same in all.

    Args:
        channels: Channels of the series; from the data.
        length: Instants of the longest row; from the data.
        hidden: Features inside. 64 as in the paper.
        out: Features of an instant, half of them trend; even. 320 as in the paper.
        depth: Residual blocks before the last. 10 as in the paper.
        reach: Instants of the longest convolution of the trend. None: half of `length`, at most 128.
        dropout: Of the season, in training. 0.1 as in the authors' code.

    Raises:
        UserError: A setting outside its range; a row longer than `length`.

    Equation:
        trend_t = 1/K sum_k conv_k(h_(t-2^k+1), ..., h_t); season = irfft(rfft(h)_f W_f + b_f), h the dilated
        convolutions

    Reference:
        Woo et al. 2022, arXiv:2202.01575.

    Example:
        >>> import torch
        >>> TrendSeasonCNN(channels=2, length=50)(torch.zeros(3, 2, 50)).dense.shape
        torch.Size([3, 50, 320])
    """

    cosine: Tensor
    sine: Tensor
    share: Tensor

    def __init__(
        self,
        *,
        channels: int = 1,
        length: int = 128,
        hidden: int = 64,
        out: int = 320,
        depth: int = 10,
        reach: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if out < 2 or out % 2:
            raise UserError(f"trend_season_cnn: out={out}; expected an even number, half of it for the trend.")
        if reach is not None and reach < 1:
            raise UserError(f"trend_season_cnn: reach={reach}; expected at least 1 instant.")
        self.body = DilatedCNN(channels=channels, hidden=hidden, out=out, depth=depth, dropout=0.0)
        self.width = self.dense_width = out
        self.length, half, reach = length, out // 2, reach or max(1, min(length // 2, LONGEST))
        self.trend = nn.ModuleList(nn.Conv1d(out, half, 2**k) for k in range(int(math.log2(reach)) + 1))
        frequencies, bound = length // 2 + 1, out**-0.5
        self.weight = nn.Parameter(torch.empty(2, frequencies, out, half).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(2, frequencies, half).uniform_(-bound, bound))
        turn = (torch.arange(length)[:, None] * torch.arange(frequencies) % length).double() * (2 * math.pi / length)
        share = torch.full((frequencies,), 2.0 / length)
        share[0 :: length // 2 if length % 2 == 0 else length] = 1 / length  # of the mean, and of every other instant
        for name, part in (("cosine", turn.cos().to(share)), ("sine", turn.sin().to(share)), ("share", share)):
            self.register_buffer(name, part, persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Features:
        """Features of every instant, and their maximum over the instants of each row.

        Args:
            x: (B, C, T), NaN for gaps and after the end of a row.

        Returns:
            Pooled (B, width), zeros for a row that holds only NaN; dense (B, T, width), of which the instants up to the
            last value of the row exist, gaps between values included.

        Raises:
            UserError: T is longer than the longest training row.
        """
        if x.shape[-1] > self.length:
            raise UserError(
                f"trend_season_cnn: found {x.shape[-1]} instants; expected at most {self.length}, as in training. "
                "Embed windows: --window sliding or causal, with a smaller --padding."
            )
        return self._features(x, x.shape[-1])

    def traced(self, x: Tensor) -> Tensor:
        """Computes the pooled features; every convolution has all of its taps, whatever the length."""
        return self._features(x, None).pooled

    def recompute(self) -> bool:
        """Keeps only what lies between residual blocks; always possible."""
        return self.body.recompute()

    def _features(self, x: Tensor, length: int | None) -> Features:
        found = self.body._features(x, length)
        h, exists = cast(Tensor, found.dense), cast(Tensor, found.mask)
        both = torch.cat([self.trended(h), self.dropout(self.seasoned(h))], 2)
        there = exists[..., None]
        highest = both.masked_fill(~there, -math.inf).amax(1).masked_fill(~there.any(1), 0.0)
        return Features(highest, both * there, exists)

    def trended(self, h: Tensor) -> Tensor:
        """Mean of causal convolutions, (B, T, H) -> (B, T, D): one convolution with the mean of their weights."""
        experts = [cast(nn.Conv1d, conv) for conv in self.trend]
        longest = experts[-1].weight.shape[2]
        weight = torch.stack([F.pad(one.weight, (longest - one.weight.shape[2], 0)) for one in experts]).mean(0)
        bias = torch.stack([cast(Tensor, one.bias) for one in experts]).mean(0)
        return F.conv1d(F.pad(h.mT, (longest - 1, 0)), weight, bias).mT

    def seasoned(self, h: Tensor) -> Tensor:
        """The spectrum changed per frequency, and back in time: (B, T, H) -> (B, T, D).

        Written as matrices of cosines and sines, which export to ONNX and need no complex numbers.
        """
        T = h.shape[1]
        cosine, sine = self.cosine[:T], self.sine[:T]
        real, imaginary = cosine.mT @ h, -sine.mT @ h
        (wr, wi), (br, bi) = self.weight, self.bias

        def changed(part: Tensor, weight: Tensor) -> Tensor:
            return torch.einsum("bfi,fio->bfo", part, weight)

        new_real = changed(real, wr) - changed(imaginary, wi) + br
        new_imaginary = changed(real, wi) + changed(imaginary, wr) + bi
        return (cosine * self.share) @ new_real - (sine * self.share) @ new_imaginary
