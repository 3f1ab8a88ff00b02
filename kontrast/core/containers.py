"""What a view is made of: a tensor, or a container of tensors that is registered as a pytree.

Moving to a device, saving and listing tensors go over the leaves. A container that cannot be cut leaf by leaf (a graph)
has a method `take(rows)` that cuts it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import torch
from torch import Tensor
from torch.utils import _pytree as pytree  # PyTorch's own wrappers flatten their arguments by this registry

Data = Any  # a Tensor or a registered container


@runtime_checkable
class Container(Protocol):
    """Data of B rows that cuts, repeats and joins itself; the first of its tensors has B entries."""

    def take(self, rows: Any) -> Self:
        """The rows that are asked for: a slice, an index or a mask."""
        ...

    def repeat(self, times: int) -> Self:
        """All rows `times` over, one after another."""
        ...

    def join(self, others: Sequence[Self]) -> Self:
        """These rows and then those of others."""
        ...


def _cuts_itself(data: Data) -> TypeGuard[Container]:
    """Whether data is such a container; tensors have methods of the same names."""
    return not isinstance(data, Tensor) and isinstance(data, Container)


def tensors(data: Data) -> list[Tensor]:
    """All tensors of some data."""
    return [leaf for leaf in pytree.tree_leaves(data) if isinstance(leaf, Tensor)]


def apply(change: Callable[[Tensor], Tensor], data: Data) -> Data:
    """The same data with every tensor changed."""
    return pytree.tree_map_only(Tensor, change, data)


def cloned(data: Data) -> Data:
    """A copy that shares no memory."""
    return apply(torch.clone, data)


def take(data: Data, rows: Any) -> Data:
    """Some rows of data."""
    return data.take(rows) if _cuts_itself(data) else apply(lambda t: t[rows], data)


def joined(parts: Iterable[Data]) -> Data:
    """Data of the same shape, one after another."""
    first, *others = parts
    if _cuts_itself(first):
        return first.join(others)
    flat = [pytree.tree_flatten(part) for part in (first, *others)]
    return pytree.tree_unflatten([torch.cat(leaves) for leaves in zip(*(p for p, _ in flat), strict=True)], flat[0][1])


def repeated(data: Data, times: int) -> Data:
    """All rows `times` over, one after another; without a copy where a row is seen once."""
    if _cuts_itself(data):
        return data.repeat(times)
    return apply(lambda t: t.expand(times, *t.shape).flatten(0, 1), data)


def split(data: Data, rows: int) -> list[Data]:
    """Data cut into parts of `rows` rows; the last may be shorter."""
    if _cuts_itself(data):
        some = len(tensors(data)[0])
        return [data.take(slice(k, k + rows)) for k in range(0, some, max(rows, 1))]
    leaves, spec = pytree.tree_flatten(data)
    return [pytree.tree_unflatten(list(part), spec) for part in zip(*(t.split(rows) for t in leaves), strict=True)]


def flattened(data: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of data, and a function that puts leaves together again.

    Wrappers (DDP, FSDP, Fabric) see plain tensors only; what they wrap rebuilds the data inside its own forward.
    """
    leaves, spec = pytree.tree_flatten(data)
    return leaves, lambda found: pytree.tree_unflatten(found, spec)
