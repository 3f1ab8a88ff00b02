"""Memory check of a model, counted while it is built without allocating its parameters."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from kontrast.core.byte_size import size
from kontrast.core.errors import UserError

LARGE = 1024  # larger integers in settings may be sizes that exceed memory
MOST = 20_000  # tensors; real models have some thousands, and ten times as many take minutes to build
_COPIES = 4  # the parameters, their gradients and the optimiser's two moments


class _TooMuch(Exception):
    pass


def refuse_beyond(build: Callable[[], nn.Module], settings: Mapping[str, Any], capacity: int) -> None:
    """Refuses a model that cannot be held in memory during training, before allocating it.

    Args:
        build: Builds the model; called on the `meta` device, and only if a setting is large.
        settings: The whole experiment as nested values; its largest integers are quoted in the message.
        capacity: Bytes of memory.

    Raises:
        UserError: Parameters, gradients and moments need more than `capacity`, or there are more than `MOST` tensors.
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
    except Exception:  # errors of the meta device are no verdict: the real build reports its own
        return
    finally:
        hook.remove()


def _whole(tree: Any, path: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _whole(value, f"{path}.{name}" if path else str(name))
    elif isinstance(tree, int) and not isinstance(tree, bool):
        yield path, tree
