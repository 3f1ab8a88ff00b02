"""A small convolutional network for log-mel spectrograms of any length.

Axis letters: B rows, C channels, M mel bands, F frames, S frames after the strides, H features of a frame.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.modalities.audio.statistics import PARTS, WIDTH, part_means, statistics

_STRIDE = 8  # bands, and frames, that a position stands for


class AudioCNN(Encoder):
    """Residual convolutions over time and frequency, and what is known of a sound without learning.

    Take it for sounds from scratch on a CPU or a small GPU. Bands keep their order, since a tone an octave higher is
    another sound, and so does time: features are averaged over four parts of a clip. Frames after the end of a clip are
    zero before every convolution, so that features do not depend on the padding of the batch.

    Args:
        channels: Channels of the sound; from the data.
        mels: Mel bands; from the data.
        base: Channels of the first stage; the others have 2 and 4 times as many.
        out: Features of a frame; pooled are their maximum and the means of four parts.
        statistics: Whether mean, deviation and course of 20 cepstra, standardised over the batches, are among the
            features: what is known of a sound without learning stays there after a short training.

    Raises:
        UserError: a setting below 1.

    Reference:
        COLA, Saeed et al. 2021, arXiv:2010.10915; BYOL-A, Niizumi et al. 2021, arXiv:2103.06695.

    Example:
        >>> AudioCNN(mels=64)(torch.zeros(2, 1, 64, 100)).pooled.shape
        torch.Size([2, 460])
    """

    def __init__(
        self, *, channels: int = 1, mels: int = 64, base: int = 16, out: int = 64, statistics: bool = True
    ) -> None:
        super().__init__()
        if min(base, out) < 1:
            raise UserError(f"audio_cnn: base={base}, out={out}; expected 1 or more of each.")
        self.stem = nn.Sequential(
            nn.Conv2d(channels, base, 3, 2, 1, bias=False), nn.BatchNorm2d(base), nn.ReLU(inplace=True)
        )
        self.blocks = nn.ModuleList([_Block(base, 2 * base), _Block(2 * base, 4 * base)])
        self.frame = nn.Linear(4 * base * -(-mels // _STRIDE), out)
        self.standard = nn.BatchNorm1d(WIDTH, affine=False) if statistics else None
        self.width, self.dense_width = (1 + PARTS) * out + WIDTH * statistics, out

    def forward(self, x: Tensor) -> Features:
        """Features of spectrograms, dense ones per eight frames.

        Args:
            x: (B, C, M, F), NaN in frames after the end.

        Returns:
            Pooled (B, width), zeros for a row that holds only NaN; dense (B, S, dense_width) in the order of time, of
            which those before the end exist.
        """
        there = ~x[:, :1, :1].isnan()
        at = there.to(x.dtype)
        h = self.stem(x.masked_fill(~there, 0.0))
        at = _strided(at)
        h = h * at
        for block in self.blocks:
            at = _strided(at)
            h = block(h, at)
        h_BSH = F.relu(self.frame(h.flatten(1, 2).mT))
        inside_BS = at[:, 0, 0] > 0
        highest = h_BSH.masked_fill(~inside_BS[:, :, None], 0.0).amax(1)  # features are not negative
        parts = [highest, part_means(h_BSH.mT, inside_BS)]
        if self.standard is not None:
            cepstral = self.standard(statistics(x.float().mean(1)))
            parts.append(cepstral.to(highest.dtype) * inside_BS.any(1, keepdim=True))
        return Features(torch.cat(parts, 1), h_BSH, inside_BS)


def _strided(at: Tensor) -> Tensor:
    """Which of half as many frames hold anything: (B, 1, 1, F) -> (B, 1, 1, F / 2), rounded up."""
    return F.max_pool2d(at, (1, 2), ceil_mode=True)


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, at half of the frames and bands."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(width, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out)
        self.second, self.second_norm = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.skip, self.skip_norm = nn.Conv2d(width, out, 1, 2, bias=False), nn.BatchNorm2d(out)
        nn.init.zeros_(self.second_norm.weight)  # every block begins as its shortcut (Goyal et al. 2017)

    def forward(self, x: Tensor, at: Tensor) -> Tensor:
        h = F.relu(self.first_norm(self.first(x))) * at
        return F.relu(self.second_norm(self.second(h)) + self.skip_norm(self.skip(x))) * at
