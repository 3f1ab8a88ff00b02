"""Lets each sound ring as in a random room."""

import math
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_waves
from kontrast.modalities.audio.waves import known


class Reverb(Augmentation):
    """Adds decaying echoes of random strength, as the walls of a room do.

    Args:
        share: Probability that a sound rings. 0.3; CLMR takes 0.6.
        samples: Samples until the echo has fallen by 60 decibels, at most: 0.25 s at 16,000 per second.
        level: Loudness of the echoes beside the sound itself, at most.

    Raises:
        UserError: the view is no waveform.

    Equation:
        y = x + a (x * h) / |h|_2, h_t = s_t 10^(-3 t / n), s_t normal, n uniform up to `samples`, a uniform up to
        `level`.

    Reference:
        CLMR, Spijkervet, Burgoyne 2021, arXiv:2103.09410.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> Reverb(share=1.0)(torch.randn(4, 1, 8000), streams_of(torch.arange(4))).shape
        torch.Size([4, 1, 8000])
    """

    def __init__(
        self,
        *,
        share: Annotated[float, Range(0, 1)] = 0.3,
        samples: Annotated[int, Range(2, 1_000_000)] = 4000,
        level: Annotated[float, Range(0, 10)] = 0.5,
    ) -> None:
        self.share, self.samples, self.level = share, samples, level

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, T) -> (B, C, T); NaN stays NaN."""
        expect_waves("reverb", x)
        u_B3 = random_streams.uniform(streams.view_B, 3).to(x.device)
        some = (u_B3[:, 0] < self.share).nonzero()[:, 0]
        if not len(some):
            return x
        n, T = min(self.samples, x.shape[-1]), x.shape[-1]
        fall_B1 = 3 * math.log(10) / (self.samples * u_B3[some, 1:2]).clamp_min(1)
        echo = random_streams.normal(streams.fork(1).view_B.to(x.device)[some], n)
        echo = echo * torch.exp(-fall_B1 * torch.arange(1, n + 1, device=x.device))
        echo = self.level * u_B3[some, 2:] * torch.nn.functional.normalize(echo, dim=1)
        sound, absent = known(x[some])
        size = T + n
        rung = torch.fft.irfft(torch.fft.rfft(sound, size) * torch.fft.rfft(echo, size)[:, None], size)[..., :T]
        return x.index_copy(0, some, (sound + rung).masked_fill(absent, torch.nan))
