"""Vectors of length 1, for tensors."""

import torch
from torch import Tensor


def unit(z: Tensor) -> Tensor:
    """Divides vectors by their length, in their own dtype.

    A vector of length 0 has no direction: it stays 0 and gets no gradient. torch.nn.functional.normalize gives it a
    gradient of 1e12, which is infinite in half precision.

    Args:
        z: (..., D).

    Returns:
        (..., D), each vector of length 1 or 0.
    """
    length = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return z / torch.where(length > 1e-12, length, torch.inf)


def sphere(z: Tensor, temperature: float | Tensor | None = None) -> Tensor:
    """Unit vectors in float32 or better, divided by a temperature.

    Args:
        z: (..., D).
        temperature: A number, or a tensor that broadcasts with `z` and may be learned; None divides by nothing.

    Returns:
        (..., D), float64 where `z` is, else float32.
    """
    directions = unit(wide(z))
    return directions if temperature is None else directions / temperature


def longest(z: Tensor) -> Tensor:
    """Length of the longest vector of (..., D), without gradient; 0 if there is none."""
    return torch.linalg.vector_norm(z.detach(), dim=-1).amax() if z.numel() else z.new_zeros(())


def wide(z: Tensor) -> Tensor:
    """Casts to float32 unless float64: squares of half-precision embeddings overflow."""
    return z if z.dtype == torch.float64 else z.float()
