"""What a model holds, counted while it is built without memory for any of its numbers."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from kontrast.core.byte_size import size
from kontrast.core.errors import UserError

LARGE = 1024  # a whole number of a setting above it may be a size that no memory holds
MOST = 20_000  # tensors; what people train has some thousands of them, and ten times as many take minutes to build
_COPIES = 4  # the parameters, their gradients and the optimiser's two moments


class _TooMuch(Exception):
    pass


def refuse_beyond(build: Callable[[], nn.Module], settings: Mapping[str, Any], capacity: int) -> None:
    """Refuses a model that cannot be held in memory while it is trained, before any memory is asked for.

    Args:
        build: Builds the model; called where a setting is large, with all of PyTorch's numbers on the `meta` device.
        settings: The whole experiment as nested values; the large whole numbers among them are named in the message.
        capacity: Bytes of memory.

    Raises:
        UserError: The parameters, gradients and moments take more than that, or there are more tensors than a model
            can have.
    """
    large = {name: n for name, n in _whole(settings) if n > LARGE}
    if not large:
        return
    held, tensors = 0, 0

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal held, tensors
        if tensor is not None:
            held, tensors = held + _COPIES * tensor.numel() * tensor.element_size(), tensors + 1
        if held > capacity or tensors > MOST:
            raise _TooMuch

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            build()
    except _TooMuch as much:
        given = ", ".join(f"{name}={n}" for name, n in sorted(large.items(), key=lambda pair: -pair[1])[:3])
        why = f"{MOST:,} tensors" if tensors > MOST else f"the {size(capacity)} of memory there are, to be trained"
        raise UserError(f"the model needs more than {why}; lower what is large: {given}.") from much
    except Exception:  # what cannot be built so says it when it is built in earnest, or can be there
        return
    finally:
        hook.remove()


def _whole(tree: Any, path: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _whole(value, f"{path}.{name}" if path else str(name))
    elif isinstance(tree, int) and not isinstance(tree, bool):
        yield path, tree
