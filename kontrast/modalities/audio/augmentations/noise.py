"""Adds noise of a random colour and level to each sound."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_waves
from kontrast.modalities.audio.waves import known

_SMOOTHED = 0.95  # weight of the sample before, at most: from white noise to dull noise


class Noise(Augmentation):
    """Adds noise to each waveform, between white and dull, at a random distance below the sound.

    Args:
        share: Probability that a sound gets noise.
        least: Smallest signal-to-noise ratio in decibels.
        most: Largest signal-to-noise ratio in decibels. 10 to 40: from a street to a quiet room; CLMR adds 80 to 40 dB
            below full scale.

    Raises:
        UserError: `least` is above `most`, or the view is no waveform.

    Equation:
        y = x + 10^(-s / 20) rms(x) n / rms(n), s uniform in least..most, n_t = w_t + c w_(t-1), w normal, c uniform in
        0..0.95.

    Reference:
        CLMR, Spijkervet, Burgoyne 2021, arXiv:2103.09410.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> y = Noise(least=20, most=20)(torch.ones(1, 1, 9000), streams_of(torch.arange(1)))
        >>> round(float((y - 1).square().mean().sqrt()), 3)
        0.1
    """

    def __init__(
        self,
        *,
        share: Annotated[float, Range(0, 1)] = 1.0,
        least: Annotated[float, Range(-20, 120)] = 10.0,
        most: Annotated[float, Range(-20, 120)] = 40.0,
    ) -> None:
        if least > most:
            raise UserError(f"noise: least={least} is above most={most}; expected least to be at most as large.")
        self.share, self.least, self.most = share, least, most

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, T) -> (B, C, T); NaN stays NaN."""
        expect_waves("noise", x)
        some, colour, ratio = random_streams.uniform(streams.view_B, 3).to(x.device)[:, :, None, None].unbind(1)
        colour, ratio = _SMOOTHED * colour, self.least + (self.most - self.least) * ratio
        white = _white(streams.fork(1).view_B.to(x.device), x.shape[-1] + 1)[:, None]
        noise = (white[..., 1:] + colour * white[..., :-1]) / (1 + colour.square()).sqrt()
        sound, absent = known(x)
        count = (~absent).sum((1, 2), keepdim=True).clamp_min(1)
        loudness = (sound.square().sum((1, 2), keepdim=True) / count).sqrt()
        level = torch.where(some < self.share, loudness * 10 ** (-ratio / 20), 0.0)
        return x + noise * level


def _white(key_B: Tensor, n: int) -> Tensor:
    """(B, n) float32, uniform with mean 0 and deviation 1: four numbers per draw, since sounds have many samples."""
    draws = -(-n // 4)
    steps = torch.arange(1, draws + 1, device=key_B.device) * random_streams.GAMMA
    bits = random_streams.mix(key_B[:, None] + steps).view(torch.int16)[:, :n]
    return (bits.float() + 0.5) * (12**0.5 / 2**16)
