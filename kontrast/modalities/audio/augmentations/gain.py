"""Makes each sound louder or softer."""

from typing import Annotated

from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_waves


class Gain(Augmentation):
    """Multiplies each waveform by a factor that is uniform in decibels.

    Args:
        decibels: Largest change in either direction. 6, as in CLMR (at most the half or the double).

    Raises:
        UserError: the view is no waveform.

    Equation:
        y = 10^(g / 20) x, g uniform in -decibels..decibels.

    Reference:
        CLMR, Spijkervet, Burgoyne 2021, arXiv:2103.09410.

    Example:
        >>> import torch
        >>> from kontrast.data.augmentation import streams_of
        >>> y = Gain(decibels=6)(torch.ones(4, 1, 8), streams_of(torch.arange(4)))
        >>> bool((y > 0.5).all() and (y < 2).all())
        True
    """

    def __init__(self, *, decibels: Annotated[float, Range(0, 60)] = 6.0) -> None:
        self.decibels = decibels

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        expect_waves("gain", x)
        u_B1 = random_streams.uniform(streams.view_B, 1).to(x.device)
        factor = 10 ** ((2 * u_B1 - 1) * self.decibels / 20)
        return x * factor[:, :, None]
