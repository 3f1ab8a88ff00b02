"""Filters each sound by a random low or high pass."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_waves
from kontrast.modalities.audio.waves import known


class BandFilter(Augmentation):
    """Damps what lies below or above a random frequency, as a wall, a telephone or a small loudspeaker does.

    Args:
        share: Probability that a sound is filtered. 0.5; CLMR filters 0.6 of them.
        octaves: The edge lies at most this far inside the band, from the highest frequency down (low pass) or from the
            lowest, 1/64 of it, up (high pass).

    Raises:
        UserError: the view is no waveform.

    Equation:
        Y_k = X_k / sqrt(1 + r_k^4), r_k = f_k / f_edge (low pass) or f_edge / f_k (high pass), each half of the time.

    Reference:
        CLMR, Spijkervet, Burgoyne 2021, arXiv:2103.09410.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> BandFilter()(torch.randn(4, 1, 800), streams_of(torch.arange(4))).shape
        torch.Size([4, 1, 800])
    """

    def __init__(
        self, *, share: Annotated[float, Range(0, 1)] = 0.5, octaves: Annotated[float, Range(0, 5)] = 2.0
    ) -> None:
        self.share, self.octaves = share, octaves

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, T) -> (B, C, T); NaN stays NaN."""
        expect_waves("band_filter", x)
        u_B3 = random_streams.uniform(streams.view_B, 3).to(x.device)
        some = (u_B3[:, 0] < self.share).nonzero()[:, 0]
        if not len(some):
            return x
        sound, absent = known(x[some])
        spectrum = torch.fft.rfft(sound)
        f_K = torch.linspace(0, 1, spectrum.shape[-1], device=x.device)
        octave_B1, high_B1 = self.octaves * u_B3[some, 1:2], u_B3[some, 2:] < 0.5
        ratio_BK = torch.where(high_B1, 2**octave_B1 / 64 / f_K.clamp_min(1e-6), f_K * 2**octave_B1)
        damped = spectrum / (1 + ratio_BK**4).sqrt()[:, None]
        filtered = torch.fft.irfft(damped, x.shape[-1]).masked_fill(absent, torch.nan)
        return x.index_copy(0, some, filtered)
