"""Changes the tempo of each spectrogram."""

import math
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_spectrograms


class Stretch(Augmentation):
    """Plays each spectrogram faster or slower at the same pitch.

    Frames are interpolated linearly. A faster one ends earlier; of a slower one the end is cut off.

    Args:
        most: Largest change of the tempo; 0.2 for 20 %.

    Raises:
        UserError: the view is no spectrogram.

    Equation:
        Y_mf = X_m(f r), r = (1 + most)^u, u uniform in -1..1.

    Reference:
        Audio augmentation by tempo: Ko et al., Interspeech 2015.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> Stretch(most=0.2)(torch.randn(4, 1, 40, 50), streams_of(torch.arange(4))).shape
        torch.Size([4, 1, 40, 50])
    """

    def __init__(self, *, most: Annotated[float, Range(0, 0.9)] = 0.2) -> None:
        self.most = most

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, M, F) -> (B, C, M, F); NaN after the end, which moves."""
        expect_spectrograms("stretch", x)
        frames = x.shape[-1]
        u_B1 = random_streams.uniform(streams.view_B, 1).to(x.device)
        place_BF = torch.exp(math.log1p(self.most) * (2 * u_B1 - 1)) * torch.arange(frames, device=x.device)
        left_BF = place_BF.long()
        below, above = (
            x.gather(3, at.clamp_max(frames - 1)[:, None, None].expand_as(x)) for at in (left_BF, left_BF + 1)
        )
        above = torch.where(above.isnan(), below, above)  # the last frame before the end
        mixed = torch.lerp(below, above, (place_BF - left_BF)[:, None, None].to(x.dtype))
        over = (left_BF > frames - 1)[:, None, None]
        return mixed.masked_fill(over, torch.nan)
