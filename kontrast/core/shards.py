"""Parameters that are split over processes (DTensor); with ranks.py the only use of torch.distributed."""

import sys

import torch
from torch import Tensor


def sharded(t: Tensor) -> bool:
    """Whether each process holds only a part of the tensor."""
    module = sys.modules.get("torch.distributed.tensor")  # whatever split a tensor has imported it
    return module is not None and isinstance(t, module.DTensor)


def whole(t: Tensor) -> Tensor:
    """Full tensor on every process; all processes must call it together."""
    return t.full_tensor() if sharded(t) else t  # pyright: ignore[reportAttributeAccessIssue]


def split_as(value: Tensor, other: Tensor) -> Tensor:
    """Splits a full tensor in the way `other` is split."""
    if not sharded(other):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(other, DTensor)
    return distribute_tensor(value.to(other.device), other.device_mesh, other.placements)


def norm(tensors: list[Tensor]) -> Tensor:
    """Length of all tensors as one vector, parts on other processes included."""
    parts = [whole(torch.linalg.vector_norm(t)) for t in tensors]
    return torch.linalg.vector_norm(torch.stack(parts))
