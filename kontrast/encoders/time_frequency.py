"""Encoder of TF-C: one network over time, and another over the amplitudes of frequencies.

Axis letters: B rows, C channels, T instants, F frequencies, D half of the width.
"""

import math

import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.encoders.tcn import TCN

TINY = 1e-12  # beside the square of an amplitude: the slope of a root is infinite at 0


class TimeFrequency(Encoder):
    """Features of a series and of its spectrum side by side, by two networks of the kind `tcn`.

    Take it with the task `tfc`, or wherever rows are known by their frequencies. The first half of the pooled features
    is from time, the second from the amplitudes of frequencies. There are no dense features. The spectrum is that of
    the longest training row: shorter rows and gaps are filled with zeros. The authors' networks are transformers.

    Args:
        channels: Channels of the series; from the data.
        length: Instants of the longest row; from the data.
        hidden: Features inside either network.
        out: Features of the last block of either network; the width is four times that.

    Raises:
        UserError: A row is longer than `length`.

    Equation:
        [g_time(x), g_frequency(|rfft(x)| / sqrt(length))]

    Reference:
        Zhang et al. 2022, arXiv:2206.08496.

    Example:
        >>> TimeFrequency(channels=2, length=50)(torch.zeros(3, 2, 50)).pooled.shape
        torch.Size([3, 512])
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, *, channels: int = 1, length: int = 128, hidden: int = 64, out: int = 128) -> None:
        super().__init__()
        frequencies = length // 2 + 1
        self.time = TCN(channels=channels, length=length, hidden=hidden, out=out)
        self.frequency = TCN(channels=channels, length=frequencies, hidden=hidden, out=out)
        self.length, self.width = length, self.time.width + self.frequency.width
        turn = (torch.arange(length)[:, None] * torch.arange(frequencies) % length).double() * (2 * math.pi / length)
        for name, part in (("cosine", turn.cos()), ("sine", turn.sin())):
            self.register_buffer(name, (part / length**0.5).to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Features:
        """Features over time and over frequencies.

        Args:
            x: (B, C, T), NaN for gaps and after the end of a row.

        Returns:
            Pooled (B, width), zeros for a row that holds only NaN.

        Raises:
            UserError: T is longer than the longest training row.
        """
        if x.shape[-1] > self.length:
            raise UserError(
                f"time_frequency: found {x.shape[-1]} instants; expected at most {self.length}, as in training."
            )
        there = x.isfinite().any(2).any(1, keepdim=True)
        frequency = self.frequency(self.amplitudes(x)).pooled
        return Features(torch.cat([self.time(x).pooled, frequency * there], 1))

    def amplitudes(self, x: Tensor) -> Tensor:
        """Amplitudes of the frequencies, (B, C, T) -> (B, C, F), by matrices, which export to ONNX."""
        x, T = x.nan_to_num(0.0), x.shape[-1]
        square = (x @ self.cosine[:T]).square() + (x @ self.sine[:T]).square()
        return (square + TINY).sqrt()

    def recompute(self) -> bool:
        """Keeps only what lies between residual blocks; always possible."""
        return self.time.recompute() and self.frequency.recompute()
