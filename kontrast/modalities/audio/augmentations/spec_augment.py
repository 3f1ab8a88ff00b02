"""Hides spans of time and bands of frequency of each spectrogram."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_spectrograms


class SpecAugment(Augmentation):
    """Sets spans of frames and bands of each spectrogram to the mean of the data.

    Args:
        time: Largest share of the frames that a span hides; 0 for none. 0.2, as SpecAugment's p.
        frequency: Largest share of the bands that a span hides; 0 for none. 0.2; SpecAugment takes 27 of 80.
        spans: Spans along each axis; 2, as in SpecAugment.

    Raises:
        UserError: the view is no spectrogram.

    Equation:
        X_mf = 0 (the mean, since spectrograms are normalised) where m or f lies in a span; a span's width is uniform up
        to the largest, its place uniform.

    Reference:
        Park et al. 2019, arXiv:1904.08779.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> x = SpecAugment(spans=1)(torch.ones(64, 1, 40, 50), streams_of(torch.arange(64)))
        >>> 0.1 < float((x == 0).float().mean()) < 0.3
        True
    """

    def __init__(
        self,
        *,
        time: Annotated[float, Range(0, 0.9)] = 0.2,
        frequency: Annotated[float, Range(0, 0.9)] = 0.2,
        spans: Annotated[int, Range(1, 16)] = 2,
    ) -> None:
        self.time, self.frequency, self.spans = time, frequency, spans

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, M, F) -> (B, C, M, F); NaN stays NaN."""
        expect_spectrograms("spec_augment", x)
        u = random_streams.uniform(streams.view_B, 4 * self.spans).to(x.device).view(len(x), 2, 2, self.spans, 1)
        end_B = (~x[:, 0, 0].isnan()).sum(1)[:, None, None]
        late_BF = _hidden(u[:, 0], self.time, end_B, x.shape[3])[:, None, None]
        high_BM = _hidden(u[:, 1], self.frequency, end_B.new_full((len(x), 1, 1), x.shape[2]), x.shape[2])
        hidden = (late_BF | high_BM[:, None, :, None]) & ~x.isnan()
        return x.masked_fill(hidden, 0)


def _hidden(u: Tensor, most: float, end: Tensor, n: int) -> Tensor:
    """(B, n) bool: places in any span; `u` (B, 2, spans, 1) draws widths and places of rows with `end` places."""
    width = u[:, 0] * most * end
    start = u[:, 1] * (end - width)
    at = torch.arange(n, device=u.device)
    return ((at >= start) & (at < start + width)).any(1)
