"""Parameters that are split over processes (DTensor).

Only this file, ranks.py and training/launcher.py use torch.distributed.
"""

import sys
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Hash(Protocol):
    """A hash of hashlib."""

    def update(self, data: Any, /) -> None:
        """Adds bytes."""


def sharded(t: Tensor) -> bool:
    """Whether each process holds only a part of the tensor."""
    module = sys.modules.get("torch.distributed.tensor")  # imported by any code that splits a tensor
    return module is not None and isinstance(t, module.DTensor)


def whole(t: Tensor) -> Tensor:
    """Full tensor on every process; all processes must call it together."""
    return t.full_tensor() if sharded(t) else t  # pyright: ignore[reportAttributeAccessIssue]


def hash_weights(hashed: Hash, module: nn.Module) -> None:
    """Adds names and values of all weights and buffers to a hash; all processes must call it together."""
    for name, value in module.state_dict().items():
        hashed.update(name.encode())
        hashed.update(whole(value).detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)


def split_as(value: Tensor, other: Tensor) -> Tensor:
    """Splits a full tensor in the same way as `other`."""
    if not sharded(other):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(other, DTensor)
    return distribute_tensor(value.to(other.device), other.device_mesh, other.placements)


def norm(tensors: list[Tensor]) -> Tensor:
    """Norm of all tensors as a single vector, including parts on other processes."""
    parts = [whole(torch.linalg.vector_norm(t)) for t in tensors]
    return torch.linalg.vector_norm(torch.stack(parts))
