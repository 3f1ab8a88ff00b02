"""The contract of a loss as a torch module: tensors in, one scalar to call backward on, all that is learned its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError, did_you_mean
from kontrast.losses.engine.reduction import Reduction, reducing


class LossModule(nn.Module, ABC):
    """A loss of `kt.losses`: a thin shell around the function of the same name in `kt.losses.functional`.

    Its temperature (if learned), proxies, queue, memory or centre are its parameters and buffers: they move with
    `.to()`, copy, save and load, and an optimiser finds them. What is remembered between steps changes in training mode
    only. Under torch.compile it is a break in the graph, and runs as it is.

    Args:
        reduction: "mean" over the anchors that count; "sum" of them; or "none": one number for each anchor, 0 where it
            does not count (nobody is its positive), with gradient. Modules whose loss is a statistic of the whole batch
            have the mean only.
        gather: Compare with the rows of all processes, if torch.distributed runs; the result is then scaled so that the
            average of gradients that DistributedDataParallel takes is the gradient over all rows. False: this process's
            rows alone.

    Attributes:
        compared: How many of the inputs, from the first on, are embeddings; None for all.
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
        """What a loss on plain tensors gives, reduced and gathered as this module says."""
        run = torch.compiler.disable(_reduced) if torch.compiler.is_compiling() else _reduced
        return run(loss, self.reduction, self.gather)  # pyright: ignore[reportCallIssue]

    def extra_repr(self) -> str:
        """The settings that are numbers and words."""
        hidden = ("training", "gather" if self.gather else "", "reduction" if self.reduction == "mean" else "")
        plain = ((k, v) for k, v in vars(self).items() if not k.startswith("_") and k not in hidden)
        return ", ".join(f"{k}={v!r}" for k, v in plain if isinstance(v, int | float | str | tuple | None))


def _reduced(loss: Callable[[], Tensor], reduction: Reduction, gather: bool) -> Tensor:
    with reducing(reduction, gather=gather):
        return loss()
