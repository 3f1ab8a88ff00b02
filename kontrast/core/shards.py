"""Shards: parameters that are split over processes; with ranks.py, the only file that knows torch.distributed."""

import sys

import torch
from torch import Tensor


def sharded(t: Tensor) -> bool:
    """Whether each process holds a part of it only."""
    module = sys.modules.get("torch.distributed.tensor")  # importing it takes a second, which who split one has spent
    return module is not None and isinstance(t, module.DTensor)


def whole(t: Tensor) -> Tensor:
    """All of it, on every process; all processes must ask together."""
    return t.full_tensor() if sharded(t) else t  # pyright: ignore[reportAttributeAccessIssue]


def split_as(value: Tensor, other: Tensor) -> Tensor:
    """A whole value, split as `other` is."""
    if not sharded(other):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(other, DTensor)
    return distribute_tensor(value.to(other.device), other.device_mesh, other.placements)


def norm(tensors: list[Tensor]) -> Tensor:
    """The length of all of them as one vector, parts on other processes included."""
    parts = [whole(torch.linalg.vector_norm(t)) for t in tensors]
    return torch.linalg.vector_norm(torch.stack(parts))
