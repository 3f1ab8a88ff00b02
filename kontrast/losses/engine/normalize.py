"""Rows of length 1."""

import torch
from torch import Tensor


def sphere(z: Tensor) -> Tensor:
    """z / |z| in float32 or better. A row of zeros has no direction: it stays, and gets no gradient.

    (Dividing by a small epsilon instead gives such a row a gradient of 1e12, which ends a training.)
    """
    z = z if z.dtype == torch.float64 else z.float()
    norm = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return torch.where(norm > 1e-12, z / norm.clamp_min(1e-12), 0)
