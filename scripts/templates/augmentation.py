"""States in one line what the augmentation changes."""

from typing import Annotated

from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation


class Template(Augmentation):
    """Adds Gaussian noise to each number of a row.

    Say here for which data to take it, and for which not.

    Args:
        noise: Standard deviation of the noise, in those of the normalised data. Say where the default comes from.

    Equation:
        y = x + noise e, e standard normal.

    Reference:
        Author et al. YEAR, arXiv:NUMBER.

    Example:
        >>> import torch
        >>> from kontrast.data.augmentation import streams_of
        >>> x = torch.zeros(2, 3, 8, 8)
        >>> Template(noise=0.1)(x, streams_of(torch.arange(2))).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, *, noise: Annotated[float, Range(0, 10)] = 0.05) -> None:
        self.noise = noise

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """Rows (B, ...) and their random streams -> rows of the same shape."""
        drawn = random_streams.normal(streams.view_B, x[0].numel())
        return x + self.noise * drawn.view(x.shape).to(x)
