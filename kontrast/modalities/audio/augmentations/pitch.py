"""Raises or lowers the pitch of each sound."""

import math
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_waves


class Pitch(Augmentation):
    """Plays each waveform faster or slower, as a tape: pitch, formants and tempo change together.

    `Stretch` changes the tempo of a spectrogram alone; after both, pitch and tempo vary independently. Samples are
    interpolated linearly. A faster sound ends earlier; of a slower one the end is cut off.

    Args:
        semitones: Largest change in either direction. 3, about the way from one voice to another; CLMR takes 7.

    Raises:
        UserError: the view is no waveform.

    Equation:
        y_t = x_(t r), r = 2^(s / 12), s uniform in -semitones..semitones.

    Reference:
        Speed perturbation, Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> Pitch(semitones=12)(torch.randn(4, 1, 800), streams_of(torch.arange(4))).shape
        torch.Size([4, 1, 800])
    """

    def __init__(self, *, semitones: Annotated[float, Range(0, 24)] = 3.0) -> None:
        self.semitones = semitones

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, T) -> (B, C, T); NaN after the end, which moves."""
        expect_waves("pitch", x)
        T = x.shape[-1]
        u_B1 = random_streams.uniform(streams.view_B, 1).to(x.device)
        rate_B1 = torch.exp(math.log(2) / 12 * self.semitones * (2 * u_B1 - 1))
        place_BT = rate_B1 * torch.arange(T, device=x.device)
        left_BT = place_BT.long()
        share_B1T = (place_BT - left_BT)[:, None]
        below, above = (
            x.gather(2, at.clamp_max(T - 1)[:, None].expand(-1, x.shape[1], -1)) for at in (left_BT, left_BT + 1)
        )
        above = torch.where(above.isnan(), below, above)  # the last sample before the end
        over = (left_BT > T - 1)[:, None]
        return torch.lerp(below, above, share_B1T.to(x.dtype)).masked_fill(over, torch.nan)
