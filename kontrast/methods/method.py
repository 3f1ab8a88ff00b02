"""The contract of a method: one training step in parts, and what is judged and served afterwards."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.layers.towers import Towers


class Method(nn.Module, ABC):
    """A step in parts, so that one loop serves all methods, on one rank or many, in one pass or several.

    `forward` may run twice (gradient caching) and is what DDP wraps; `targets` runs once, without gradient; neither
    mixes rows. Axis 0 of all they return is the sample. `compare` sees all rows of this rank, asks `ranks` for the
    others', and returns sums with their counts. `after_update` is the one home of what lives between steps.
    """

    ROOM = "methods"

    towers: Towers
    """The encoders, by field."""

    shared: bool = False
    """Whether the fields are embedded into one space, so that one may be searched by another."""

    fewest: int = 1
    """How many fields it needs."""

    most: int | None = None
    """How many fields it takes at most; None for any number."""

    needs: frozenset[str] = frozenset()
    """Names of the targets (label, number, group ...) that columns of the data must give."""

    strength: str = "strong"
    """How much its views are augmented by default: "strong" where augmentation alone makes the pair, "light" where the
    data does."""

    together: bool = False
    """Whether other ranks call the same encoders in step with this one, so that no call may be left out."""

    @abstractmethod
    def draws(self) -> dict[str, str]:
        """The views a step needs: view name -> field. A field may be drawn more than once."""

    @abstractmethod
    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Embeddings with gradient, (B, D) each."""

    def targets(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Embeddings without gradient, (B, D) each: momentum copies, teachers."""
        return {}

    @abstractmethod
    def compare(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The terms of the objective, from everything `forward` and `targets` returned."""

    def after_update(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """What changes after the optimiser's step: momentum copies, queues, centres."""
        return

    @abstractmethod
    def embed(self, field: str, x: Tensor) -> Tensor:
        """(B, D): what is judged and served for unaugmented rows of one field; not yet normalised."""

    @abstractmethod
    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Pairs of aligned rows that ought to be alike, for the health of the run and nothing else."""
