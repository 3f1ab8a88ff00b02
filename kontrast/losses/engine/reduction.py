"""How the losses of a call become one tensor: their mean, their sum, or one for each anchor; and among whose rows.

Both hold for what is called inside of a `with`, as autocast and no_grad do, so that each loss on plain tensors is one
function for all of them. Outside, it is the mean over the rows of all ranks.
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
    """Inside, losses are reduced by `how`; without `gather`, candidates are those of this process alone."""
    before = _HOW.set(how)
    try:
        with nullcontext() if gather else by_itself():
            yield
    finally:
        _HOW.reset(before)


def averaging() -> bool:
    """Whether the mean is asked for, as everywhere outside of a `with`."""
    return _HOW.get() == "mean"


def apart() -> bool:
    """Whether the loss of each anchor is asked for, in place of a sum."""
    return _HOW.get() == "none"


def collapse(each: Tensor) -> Tensor:
    """The sum of the anchors' numbers; themselves, where each is asked for."""
    return each if apart() else each.sum()


def reduced(ranks: Ranks, terms: Mapping[str, LossTerm]) -> Tensor:
    """The terms as asked for.

    Returns:
        mean: the sum of the global means, scaled so that DDP's average of gradients is its gradient. sum: the same
        before any division. none: (anchors,), what each anchor of this rank adds to the sum.

    Raises:
        ValueError: no anchor counts, on any rank.
    """
    if apart():
        return sum(t.weight * t.total for t in terms.values())  # pyright: ignore[reportReturnType]
    mean = ranks.divide(terms)[0]
    if _HOW.get() == "mean":
        return mean
    return ranks.world * sum(t.weight * t.total for t in terms.values())  # pyright: ignore[reportReturnType]
