"""Learned prototypes: directions that embeddings are assigned to."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.errors import UserError


class Prototypes(nn.Module):
    """Cosines of embeddings (B, D) to learned prototypes: (B, prototypes).

    The directions are normalised at every use, so no extra step has to renormalise them. SwAV (arXiv:2006.09882) takes
    3,000 for ImageNet, about three per class, and freezes them in the first epoch: `requires_grad_(False)`.

    Args:
        width: Width D of the embeddings.
        prototypes: Number of prototypes, 2 or more.
    """

    def __init__(self, *, width: int, prototypes: int = 512) -> None:
        super().__init__()
        if prototypes < 2 or width < 1:
            raise UserError(f"prototypes: prototypes={prototypes} (at least 2), width={width} (at least 1).")
        self.directions = nn.Parameter(F.normalize(torch.randn(prototypes, width), dim=1))

    def forward(self, z: Tensor) -> Tensor:
        """Cosines in float32 or better, whatever the autocast."""
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            return F.normalize(z, dim=-1) @ F.normalize(self.directions, dim=-1).to(z.dtype).mT
