"""Blurs some of the images by a Gaussian of random width."""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation

_REACH = 3  # standard deviations that the window covers on either side


class Blur(Augmentation):
    """Blurs a share of the images by a Gaussian whose standard deviation is drawn for each image.

    SimCLR blurs photographs of 224 px. Small images (32 px) lose more than they gain, so no modality blurs by default.

    Args:
        share: Probability that an image is blurred; 0.5 as in SimCLR.
        least: Smallest standard deviation in pixels; 0.1 as in SimCLR.
        most: Largest standard deviation in pixels; 2.0 as in SimCLR.

    Raises:
        UserError: `least` is above `most`, or the view is no image.

    Equation:
        y = x * g, g_k = e^(-k^2 / 2 sigma^2) / sum_k e^(-k^2 / 2 sigma^2) along each axis,
        sigma uniform in least..most.

    Reference:
        Chen et al. 2020, arXiv:2002.05709, appendix A.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> x, streams = torch.rand(4, 3, 32, 32), streams_of(torch.arange(4))
        >>> Blur(share=1.0)(x, streams).shape
        torch.Size([4, 3, 32, 32])
    """

    def __init__(
        self,
        *,
        share: Annotated[float, Range(0, 1)] = 0.5,
        least: Annotated[float, Range(0.01, 100)] = 0.1,
        most: Annotated[float, Range(0.01, 100)] = 2.0,
    ) -> None:
        if least > most:
            raise UserError(f"blur: least={least} is above most={most}; expected least to be at most as large.")
        self.share, self.least, self.most = share, least, most

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if x.ndim != 4:
            raise UserError(f"blur: expected images, found rows of {x.ndim - 1} axes. Leave it out of this view.")
        B, C, H, W = x.shape
        u_B2 = random_streams.uniform(streams.view_B, 2).to(x.device, torch.float32)
        sigma_B = self.least + (self.most - self.least) * u_B2[:, 1]
        reach = max(1, min(round(_REACH * self.most), H - 1, W - 1))
        k = torch.arange(-reach, reach + 1, device=x.device)
        window = (-0.5 * (k / sigma_B[:, None]) ** 2).exp()
        window = (window / window.sum(1, keepdim=True)).to(x.dtype).repeat_interleave(C, 0)[:, None]
        rows = F.pad(x, (reach,) * 4, mode="reflect").reshape(1, B * C, H + 2 * reach, W + 2 * reach)
        rows = F.conv2d(rows, window[:, :, None, :], groups=B * C)
        rows = F.conv2d(rows, window[:, :, :, None], groups=B * C).reshape(B, C, H, W)
        return torch.where((u_B2[:, 0] < self.share)[:, None, None, None], rows, x)
