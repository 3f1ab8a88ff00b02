"""Series cut into segments that change places, with noise: the strong augmentation of TS-TCC.

Axis letters: B rows, C channels, T instants.
"""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.factory import LARGE, Range
from kontrast.core.random_streams import Streams, drawn, share, uniform
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.series.augmentations.changes import ends, gauss


class Permutation(Augmentation):
    """Cuts a series at random instants into a few segments, puts these in a random order, and adds noise.

    All channels are cut alike. What follows the last known instant stays where it is.

    Args:
        segments: Most segments, 1 or more; how many is drawn per row. 7 as in the authors' code for HAR, whose 8 is
            never drawn.
        jitter: Standard deviation of the noise, in the units of the normalised series; 0.8 as in that code.

    Raises:
        UserError: Called with something else than series.

    Reference:
        TS-TCC, Eldele et al. 2021, arXiv:2106.14112; permutation: Um et al. 2017, arXiv:1706.00527.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> x = torch.arange(8.0).view(1, 1, 8)
        >>> Permutation(jitter=0)(x, streams_of(torch.arange(1))).sort().values.flatten().tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    """

    def __init__(
        self, *, segments: Annotated[int, Range(1, 1000)] = 7, jitter: Annotated[float, Range(0, LARGE)] = 0.8
    ) -> None:
        self.segments, self.jitter = segments, jitter

    def __call__(self, x: Tensor, streams: Streams) -> Tensor:
        """Shuffles the segments of series (B, C, T)."""
        if x.ndim != 3:
            raise UserError(f"permutation: expected series (B, C, T); found {x.ndim} axes.")
        T = x.shape[2]
        inside = torch.arange(T, device=x.device) < ends(x.isfinite().any(1))[:, None]
        cuts = share(drawn(streams.fork(0).view_B, 1), self.segments)  # one fewer than segments
        # The instants with the smallest draws begin segments; the first instant begins one anyway.
        draws = uniform(streams.fork(1).view_B, T).masked_fill(~inside, 2)
        draws[:, 0] = 3
        begins = (draws.argsort(dim=1, stable=True).argsort(dim=1) < cuts) & (draws < 1)
        place = uniform(streams.fork(2).view_B, self.segments).gather(1, begins.cumsum(1)).masked_fill(~inside, 2)
        x = x.gather(2, place.argsort(dim=1, stable=True)[:, None].expand_as(x))
        return x + self.jitter * gauss(streams.fork(3).view_B, *x.shape[1:]).to(x.dtype) if self.jitter else x
