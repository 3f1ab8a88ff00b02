"""Prototypes: directions that embeddings are assigned to."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.errors import UserError


class Prototypes(nn.Module):
    """(B, D) -> (B, prototypes) cosines. Kept on the sphere at every use, so no step of its own must renormalise it.

    SwAV (arXiv:2006.09882) takes 3,000 for ImageNet, about three a class, and freezes them in the first epoch:
    `requires_grad_(False)`.
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
