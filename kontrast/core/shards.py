"""Shards: with ranks.py, the only file that knows torch.distributed; parameters that are split over processes."""

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def sharded(t: Tensor) -> bool:
    """Whether each process holds a part of it only."""
    return isinstance(t, DTensor)


def whole(t: Tensor) -> Tensor:
    """All of it, on every process; all processes must ask together."""
    return t.full_tensor() if isinstance(t, DTensor) else t


def split_as(value: Tensor, other: Tensor) -> Tensor:
    """A whole value, split as `other` is."""
    if not isinstance(other, DTensor):
        return value
    return distribute_tensor(value.to(other.device), other.device_mesh, other.placements)


def norm(tensors: list[Tensor]) -> Tensor:
    """The length of all of them as one vector, parts on other processes included."""
    parts = [whole(torch.linalg.vector_norm(t)) for t in tensors]
    return torch.linalg.vector_norm(torch.stack(parts))
