"""Learned prototypes: directions that embeddings are assigned to."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.errors import UserError


class Prototypes(nn.Module):
    """Cosines of embeddings (B, D) to learned prototypes: (B, prototypes).

    The directions are normalised at every use, so no extra step has to renormalise them. SwAV (arXiv:2006.09882) takes
    3,000 for ImageNet, about three per class; SwAV and DINO freeze them in the first epoch.

    Args:
        width: Width D of the embeddings.
        prototypes: Number of prototypes, 2 or more.
    """

    def __init__(self, *, width: int, prototypes: int = 512) -> None:
        super().__init__()
        if prototypes < 2 or width < 1:
            raise UserError(f"prototypes: prototypes={prototypes} (at least 2), width={width} (at least 1).")
        self.directions = nn.Parameter(F.normalize(torch.randn(prototypes, width), dim=1))

    def forward(self, z: Tensor, *, frozen: bool = False) -> Tensor:
        """Cosines in float32 or better, whatever the autocast.

        Args:
            z: (B, D) embeddings.
            frozen: Whether the prototypes get no gradient. Default: False.
        """
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            directions = self.directions.detach() if frozen else self.directions
            return F.normalize(z, dim=-1) @ F.normalize(directions, dim=-1).to(z.dtype).mT
