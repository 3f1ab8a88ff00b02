"""Mixes each image or series with another one, number by number."""

from typing import Annotated

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.mixing import Mixing


class MixUp(Mixing):
    """Mixes each row with its partner, number by number: images of one size, or series.

    A series is known where both are; one that shares no instant with its partner is not mixed.

    Args:
        alpha: Shape of the Beta distribution of lambda; 1, all shares alike, as in GenSCL and for CIFAR-10 in MixUp,
            whose ImageNet runs take 0.2. Small ones leave most rows almost as they are.

    Raises:
        UserError: the view is a text.

    Equation:
        y = lambda x + (1 - lambda) x', lambda ~ Beta(alpha, alpha) per row

    Reference:
        Zhang et al. 2018, arXiv:1710.09412.

    Example:
        >>> from kontrast.data.augmentation import streams_of
        >>> y, share = MixUp()(torch.ones(4, 3, 8, 8), torch.zeros(4, 3, 8, 8), streams_of(torch.arange(4)))
        >>> torch.equal(y[:, 0, 0, 0], share)
        True
    """

    def __init__(self, *, alpha: Annotated[float, Range(1e-3, 1000)] = 1.0) -> None:
        self.alpha = alpha

    def __call__(self, x: Tensor, other: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """(B, ...) and (B, ...) -> (B, ...), (B,); of series the last axes may differ."""
        if not x.is_floating_point():
            raise UserError(
                f"mixup: expected images or series, found {x.dtype} numbers, as texts are. Mix another field."
            )
        late = x.shape[-1] - other.shape[-1]  # series of another batch end elsewhere
        other = torch.nn.functional.pad(other, (0, late), value=torch.nan) if late else other
        share_B = random_streams.beta(streams.view_B, self.alpha).to(x.device)
        mixed = torch.lerp(other, x, share_B.to(x.dtype).view(-1, *[1] * (x.ndim - 1)))
        apart = ~mixed.isfinite().flatten(1).any(1)
        return torch.where(apart.view(-1, *[1] * (x.ndim - 1)), x, mixed), torch.where(apart, 1.0, share_B)
