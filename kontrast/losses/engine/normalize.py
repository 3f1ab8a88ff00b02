"""Normalisation of rows to length 1."""

import torch
from torch import Tensor


def sphere(z: Tensor) -> Tensor:
    """Unit vectors in float32 or better; zeros stay zero and get no gradient.

    Division by a small epsilon would give such a row a gradient of 1e12, which ruins a training.
    """
    z = z if z.dtype == torch.float64 else z.float()
    norm = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return torch.where(norm > 1e-12, z / norm.clamp_min(1e-12), 0)
