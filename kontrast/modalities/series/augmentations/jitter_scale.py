"""Series whose instants are each scaled by a random factor: the weak augmentation of TS-TCC."""

from typing import Annotated

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.factory import LARGE, Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.series.augmentations.changes import gauss


class JitterScale(Augmentation):
    """Multiplies each instant of a series by a random factor, the same in all channels, and may add noise.

    Args:
        around: Mean of the factors; 2 as in the authors' code.
        scale: Standard deviation of the factors; 1.1 as in their settings for HAR.
        jitter: Standard deviation of noise that is added; 0 as in their code.

    Raises:
        UserError: Called with something else than series.

    Equation:
        y_ct = f_t x_ct + e_ct, f_t normal with mean `around` and deviation `scale`, e_ct normal with deviation `jitter`

    Reference:
        TS-TCC, Eldele et al. 2021, arXiv:2106.14112.

    Example:
        >>> import torch
        >>> from kontrast.data.augmentation import streams_of
        >>> JitterScale()(torch.ones(3, 2, 20), streams_of(torch.arange(3))).shape
        torch.Size([3, 2, 20])
    """

    def __init__(
        self,
        *,
        around: Annotated[float, Range(-LARGE, LARGE)] = 2.0,
        scale: Annotated[float, Range(0, LARGE)] = 1.1,
        jitter: Annotated[float, Range(0, LARGE)] = 0.0,
    ) -> None:
        self.around, self.scale, self.jitter = around, scale, jitter

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """Scales series (B, C, T)."""
        if x.ndim != 3:
            raise UserError(f"jitter_scale: expected series (B, C, T); found {x.ndim} axes.")
        drawn = gauss(streams.fork(0).view_B, 1, x.shape[2])
        x = x * (self.around + self.scale * drawn).to(x.dtype)
        return x + self.jitter * gauss(streams.fork(1).view_B, *x.shape[1:]).to(x.dtype) if self.jitter else x
