"""Puts another sound softly behind each sound, in its log-mel spectrogram."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.mixing import Mixing

_SPECTROGRAM = 4  # axes


class Background(Mixing):
    """Adds the power of another spectrogram to each, with a small weight; where a sound has ended it stays so.

    Unlike `mixup`, which averages logarithms, it sounds as if both were heard at once.

    Args:
        most: Largest weight of the other sound; 0.4, as in BYOL-A.

    Raises:
        UserError: the view is no spectrogram.

    Equation:
        Y = log((1 - a) e^X + a e^X'), a uniform in 0..most; lambda = 1 - a

    Reference:
        BYOL for Audio, Niizumi et al. 2021, arXiv:2103.06695 (log-mixup-exp).

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> x = torch.zeros(4, 1, 40, 50)
        >>> y, share = Background()(x, x, streams_of(torch.arange(4)))
        >>> bool(y.abs().max() < 1e-6), bool((share >= 0.6).all())
        (True, True)
    """

    def __init__(self, *, most: Annotated[float, Range(0, 1)] = 0.4) -> None:
        self.most = most

    def __call__(self, x: Tensor, other: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """(B, C, M, F) twice -> (B, C, M, F), (B,)."""
        if x.ndim != _SPECTROGRAM:
            raise UserError(f"background: expected spectrograms, found rows of {x.ndim - 1} axes. Mix another field.")
        a_B = self.most * random_streams.uniform(streams.view_B, 1)[:, 0].to(x.device)
        a = a_B.clamp(1e-6, 1 - 1e-6)[:, None, None, None].to(x.dtype)
        heard = torch.logaddexp(x + (1 - a).log(), other + a.log())
        return torch.where(other.isnan(), x, heard), 1 - a_B
