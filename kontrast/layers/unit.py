"""Embeddings on the unit sphere."""

import torch
from torch import Tensor


def unit(z: Tensor) -> Tensor:
    """(..., D) over its length. A vector of length 0 has no direction: it stays 0 and gets no gradient.

    torch.nn.functional.normalize gives it a gradient of 1e12, which is infinite in half precision.
    """
    length = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return z / torch.where(length > 1e-12, length, torch.inf)
