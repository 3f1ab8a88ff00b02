"""Lets each spectrogram grow louder or softer over time."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_spectrograms


class Fade(Augmentation):
    """Adds a straight line over time to each log-mel spectrogram: a linear change of its level.

    Args:
        most: Largest change at either end, in standard deviations of the data; 1, as in BYOL-A.

    Raises:
        UserError: the view is no spectrogram.

    Equation:
        Y_mf = X_mf + a + (b - a) f / (F - 1), a and b uniform in -most..most.

    Reference:
        BYOL for Audio, Niizumi et al. 2021, arXiv:2103.06695 (random linear fader).

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> Fade()(torch.zeros(4, 1, 40, 50), streams_of(torch.arange(4))).shape
        torch.Size([4, 1, 40, 50])
    """

    def __init__(self, *, most: Annotated[float, Range(0, 10)] = 1.0) -> None:
        self.most = most

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, M, F) -> (B, C, M, F); NaN stays NaN."""
        expect_spectrograms("fade", x)
        first, last = (random_streams.uniform(streams.view_B, 2).to(x.device, x.dtype) * 2 - 1).mul(self.most).unbind(1)
        line_BF = torch.lerp(first[:, None], last[:, None], torch.linspace(0, 1, x.shape[-1], device=x.device))
        return x + line_BF[:, None, None]
