"""Inverts some of the waveforms."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_waves


class Polarity(Augmentation):
    """Inverts the sign of a share of the waveforms, which nobody hears; encoders of waveforms see it.

    Log-mel spectrograms do not change, so that it matters only with `input="wave"`.

    Args:
        share: Probability that a waveform is inverted. 0.8, as in CLMR.

    Raises:
        UserError: the view is no waveform.

    Equation:
        y = -x with probability `share`, else x.

    Reference:
        CLMR, Spijkervet, Burgoyne 2021, arXiv:2103.09410.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> Polarity(share=1)(torch.ones(1, 1, 3), streams_of(torch.arange(1))).tolist()
        [[[-1.0, -1.0, -1.0]]]
    """

    def __init__(self, *, share: Annotated[float, Range(0, 1)] = 0.8) -> None:
        self.share = share

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        expect_waves("polarity", x)
        inverted_B = random_streams.uniform(streams.view_B, 1)[:, 0].to(x.device) < self.share
        return torch.where(inverted_B[:, None, None], -x, x)
