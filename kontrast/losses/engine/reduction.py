"""Reduction of losses (mean, sum or per anchor), and whether other processes take part.

Both settings hold inside a `with` block, as autocast and no_grad do, so that each loss on plain tensors is one function
for all of them. Outside, losses are the mean over the rows of all ranks.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Literal

from torch import Tensor

from kontrast.core.embeddings import LossTerm
from kontrast.core.ranks import Ranks, by_itself

Reduction = Literal["mean", "sum", "none"]
_HOW: ContextVar[Reduction] = ContextVar("reduction", default="mean")


@contextmanager
def reducing(how: Reduction, *, gather: bool = True) -> Iterator[None]:
    """Sets the reduction inside the block; with `gather` False, only this process's rows are candidates."""
    before = _HOW.set(how)
    try:
        with nullcontext() if gather else by_itself():
            yield
    finally:
        _HOW.reset(before)


def averaging() -> bool:
    """Whether the mean is asked for, as it is outside of `reducing`."""
    return _HOW.get() == "mean"


def apart() -> bool:
    """Whether the loss of each anchor is asked for."""
    return _HOW.get() == "none"


def collapse(each: Tensor) -> Tensor:
    """Sum of the anchors' losses, or the losses themselves if each is asked for."""
    return each if apart() else each.sum()


def reduced(ranks: Ranks, terms: Mapping[str, LossTerm]) -> Tensor:
    """Loss terms in the current reduction.

    Returns:
        "mean": the sum of the global means, scaled so that DDP's average of gradients is its gradient. "sum": the same
        before any division. "none": (anchors,), what each anchor of this rank adds to the sum.

    Raises:
        ValueError: no anchor counts, on any rank.
    """
    if apart():
        return sum(t.weight * t.total for t in terms.values())  # pyright: ignore[reportReturnType]
    mean = ranks.divide(terms)[0]
    if _HOW.get() == "mean":
        return mean
    return ranks.world * sum(t.weight * t.total for t in terms.values())  # pyright: ignore[reportReturnType]
