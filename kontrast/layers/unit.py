"""Embeddings on the unit sphere."""

import torch
from torch import Tensor


def unit(z: Tensor) -> Tensor:
    """(..., D) over its length. A vector of length 0 has no direction: it stays 0 and gets no gradient.

    torch.nn.functional.normalize gives it a gradient of 1e12, which is infinite in half precision.
    """
    length = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return z / torch.where(length > 1e-12, length, torch.inf)


def longest(z: Tensor) -> Tensor:
    """The length of the longest row; without gradient."""
    return torch.linalg.vector_norm(z.detach(), dim=-1).amax() if z.numel() else z.new_zeros(())


def wide(z: Tensor) -> Tensor:
    """In float32 or better: squares of half-precision embeddings overflow."""
    return z if z.dtype == torch.float64 else z.float()
