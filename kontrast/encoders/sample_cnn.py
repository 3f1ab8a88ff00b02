"""Convolutions over raw waveforms, as in CLMR.

Axis letters: B rows, C channels, N samples, S positions after the strides, H features of a position.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

_STEP = 3  # samples that each layer merges


class SampleCNN(Encoder):
    """Convolutions of width 3 over samples, each of which merges three; pooled by mean and maximum.

    Take it to learn from the waveform itself, with much data; spectrograms (`audio_cnn`) need less. Asks the modality
    for `input=wave`.

    Args:
        channels: Channels of the sound; from the data.
        base: Features of the first layers; the middle ones have twice, the last four times as many. 128 in the paper.
        depth: Layers after the first. None: 9 as in the paper, fewer for views under 59,049 samples.
        samples: Samples of a view; from the data.

    Raises:
        UserError: a setting below 1.

    Reference:
        SampleCNN, Lee et al. 2017, arXiv:1703.01789; CLMR, Spijkervet, Burgoyne 2021, arXiv:2103.09410.

    Example:
        >>> SampleCNN(base=8, samples=3000)(torch.zeros(2, 1, 3000)).pooled.shape
        torch.Size([2, 64])
    """

    def __init__(self, *, channels: int = 1, base: int = 64, depth: int | None = None, samples: int = 16_000) -> None:
        super().__init__()
        if base < 1 or (depth is not None and depth < 1):
            raise UserError(f"sample_cnn: base={base}, depth={depth}; expected 1 or more of each.")
        merged, most = _STEP, 9
        while depth is None and merged * _STEP ** (most + 1) > samples and most > 1:
            most -= 1
        depth = depth or most
        widths = [base] + [base * (1 if 3 * k < depth else 2 if 3 * k < 2 * depth else 4) for k in range(depth)]
        self.enter = nn.Conv1d(channels, base, _STEP, _STEP, bias=False)
        self.enter_norm = nn.BatchNorm1d(base)
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, 3, padding=1, bias=False) for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.width, self.dense_width = 2 * widths[-1], widths[-1]

    def forward(self, x: Tensor) -> Features:
        """Features of waveforms, dense ones at the positions after the strides.

        Args:
            x: (B, C, N), NaN after the end.

        Returns:
            Pooled (B, width), zeros for a row that holds only NaN; dense (B, S, dense_width) in the order of time, of
            which those before the end exist.
        """
        at = (~x[:, :1].isnan()).to(x.dtype)
        h, at = _padded(x.nan_to_num(0.0)), F.max_pool1d(_padded(at), _STEP)
        h = F.relu(self.enter_norm(self.enter(h))) * at
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = F.relu(norm(layer(h))) * at
            h, at = F.max_pool1d(_padded(h), _STEP), F.max_pool1d(_padded(at), _STEP)
        mean = h.sum(2) / at.sum(2).clamp_min(1)
        return Features(torch.cat([h.amax(2), mean], 1), h.mT, at[:, 0] > 0)

    @classmethod
    def wants(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The waveform."""
        return {"input": "wave"}


def _padded(x: Tensor) -> Tensor:
    """Zeros at the end, up to a multiple of what a layer merges."""
    return F.pad(x, (0, -x.shape[-1] % _STEP))
