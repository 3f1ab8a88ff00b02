"""Shows a part of each spectrogram, resized to the whole: shifts and stretches in time and frequency."""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.axes import expect_spectrograms


class ResizeCrop(Augmentation):
    """Crops a random box of each spectrogram, which may reach beyond its edges, and resizes it to the whole.

    It shifts and stretches pitch and time a little. Beyond the edges lies the mean of the data.

    Args:
        least: Smallest side of the box as a share of the spectrogram's; 0.6, as in BYOL-A.
        most: Largest side; 1.5, as in BYOL-A for time (1.0 for frequency).

    Raises:
        UserError: the view is no spectrogram.

    Equation:
        Y(p) = X(c + s p) along both axes, p in -1..1, s uniform in least..most, c uniform in -|1 - s|..|1 - s|.

    Reference:
        BYOL for Audio, Niizumi et al. 2021, arXiv:2103.06695 (random resize crop).

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> ResizeCrop()(torch.zeros(4, 1, 40, 50), streams_of(torch.arange(4))).shape
        torch.Size([4, 1, 40, 50])
    """

    def __init__(
        self, *, least: Annotated[float, Range(0.1, 1)] = 0.6, most: Annotated[float, Range(1, 3)] = 1.5
    ) -> None:
        self.least, self.most = least, most

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, M, F) -> (B, C, M, F); NaN stays NaN."""
        expect_spectrograms("resize_crop", x)
        u = random_streams.uniform(streams.view_B, 4).to(x.device, x.dtype).view(-1, 2, 2)
        side = self.least + (torch.tensor([self.most, 1.0], device=x.device) - self.least) * u[:, 0]  # time, frequency
        centre = (1 - side).abs() * (2 * u[:, 1] - 1)
        box = torch.cat([torch.diag_embed(side), centre[:, :, None]], 2)
        grid = F.affine_grid(box, list(x.shape), align_corners=False)
        absent = x.isnan()
        seen = F.grid_sample(x.masked_fill(absent, 0), grid, mode="bilinear", align_corners=False)
        return seen.masked_fill(absent, torch.nan)
