"""Work without gradients that the processes of a run share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from kontrast.core.ranks import Ranks

Made = TypeVar("Made")


@dataclass
class SharedWork:
    """Units of work that ranks do in turn, unit k on rank k modulo the number of ranks.

    A unit is whole on its rank, so that its result has the same bits as on a single process. All ranks ask for the same
    units in the same order.

    Attributes:
        ranks: Rank and number of processes. Default: this process alone.
        asked: Units asked for until now, over all calls.
    """

    ranks: Ranks = field(default_factory=lambda: Ranks(alone=True))
    asked: int = 0

    @property
    def first(self) -> bool:
        """Whether this process does what is not shared."""
        return self.ranks.rank == 0

    def done(self, units: Sequence[Callable[[], Made]]) -> Iterator[Made]:
        """Yields the results of all units in their order, on every rank; a single process makes each when asked.

        Args:
            units: Functions without arguments; each returns arrays or tensors on the CPU.
        """
        if self.ranks.world == 1:
            yield from (unit() for unit in units)
            return
        mine = {k: unit() for k, unit in enumerate(units) if (self.asked + k) % self.ranks.world == self.ranks.rank}
        self.asked += len(units)
        found = {k: made for theirs in self.ranks.exchange(mine) for k, made in theirs.items()}
        yield from (found[k] for k in range(len(units)))
