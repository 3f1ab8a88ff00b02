"""Contract of losses as torch modules: tensors in, one scalar out, learned tensors as parameters."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError, did_you_mean
from kontrast.losses.engine.reduction import Reduction, reducing


class LossModule(nn.Module, ABC):
    """Loss of `kt.losses`: a module around the function of the same name in `kt.losses.functional`.

    Its temperature (if learned), proxies, queue, memory or centre are parameters and buffers: they move with `.to()`,
    copy, save and load, and an optimiser finds them. Remembered state changes in training mode only. Under
    torch.compile it is a graph break and runs uncompiled.

    Args:
        reduction: "mean" (default) over the anchors that count; "sum" of them; "none": one number per anchor with
            gradient, 0 where it does not count (it has no positive). Modules whose loss is a statistic of the whole
            batch have the mean only.
        gather: Compare with the rows of all processes if torch.distributed runs (default); the result is scaled so that
            the average of gradients in DistributedDataParallel is the gradient over all rows. False: this process's
            rows only.

    Attributes:
        compared: How many of the inputs, from the first, are embeddings; None for all.

    Raises:
        UserError: `reduction` is unknown.
    """

    ROOM = "modules"

    compared: ClassVar[int | None] = None

    def __init__(self, *, reduction: Reduction = "mean", gather: bool = True) -> None:
        super().__init__()
        known = get_args(Reduction)
        if reduction not in known:
            raise UserError(f"{type(self).__name__}: reduction={reduction!r}{did_you_mean(str(reduction), known)}")
        self.reduction: Reduction = reduction
        self.gather = gather

    @abstractmethod
    def forward(self, *inputs: Any) -> Tensor:
        """The loss of these inputs."""

    def reduced(self, loss: Callable[[], Tensor]) -> Tensor:
        """Value of a loss on plain tensors, reduced and gathered by this module's settings."""
        run = torch.compiler.disable(_reduced) if torch.compiler.is_compiling() else _reduced
        return run(loss, self.reduction, self.gather)  # pyright: ignore[reportCallIssue]

    def extra_repr(self) -> str:
        """Settings that are numbers or strings, for `print`."""
        hidden = ("training", "gather" if self.gather else "", "reduction" if self.reduction == "mean" else "")
        plain = ((k, v) for k, v in vars(self).items() if not k.startswith("_") and k not in hidden)
        return ", ".join(f"{k}={v!r}" for k, v in plain if isinstance(v, int | float | str | tuple | None))


def _reduced(loss: Callable[[], Tensor], reduction: Reduction, gather: bool) -> Tensor:
    with reducing(reduction, gather=gather):
        return loss()
