"""Contract of a method: one training step in parts, and the embedding served afterwards."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.layers.towers import Towers


class Task(nn.Module, ABC):
    """A training step in parts, so that one loop serves all methods.

    `forward` is what DDP wraps and may run twice (gradient caching); `targets` runs once, without gradient; neither may
    mix rows. Axis 0 of everything they return is the sample. `compare` gets all rows of this rank, asks `ranks` for the
    others', and returns sums with their counts. State that changes between steps changes in `after_update` only.
    """

    ROOM = "tasks"

    towers: Towers
    """The encoders, and which of them reads which field."""

    shared: bool = False
    """Whether all fields share one space, so that one can be searched by another."""

    fewest: int = 1
    """Fewest fields it takes."""

    most: int | None = None
    """Most fields it takes; None: any number."""

    needs: frozenset[str] = frozenset()
    """Targets (label, number, group ...) that columns of the data must provide."""

    strength: str = "strong"
    """Default strength of augmentation: "strong" if augmentation makes the pairs, "light" if the data does."""

    together: bool = False
    """Whether other ranks call the same encoders in step, so that no call may be skipped."""

    @abstractmethod
    def draws(self) -> dict[str, str]:
        """Views of a step: view name -> field; a field may occur more than once."""

    @abstractmethod
    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Embeddings of each view with gradient, (B, D) each.

        Args:
            views: Prepared inputs of each view.
            keys: Keys of the rows, such as `label` and `has FIELD`.
        """

    def targets(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Embeddings without gradient, (B, D) each, from momentum copies or teachers."""
        return {}

    @abstractmethod
    def compare(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Terms of the objective, from all that `forward` and `targets` returned.

        Args:
            rows: Embeddings of this rank, by the names that `forward` and `targets` gave them.
            ranks: Access to the other ranks' rows.

        Returns:
            A weighted sum with its count per term.
        """

    def after_update(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Changes state after the optimiser's step: momentum copies, queues, centres."""
        return

    @abstractmethod
    def embed(self, field: str, x: Tensor) -> Tensor:
        """The served embedding of unaugmented rows of one field, (B, D), not normalised."""

    @abstractmethod
    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Aligned rows that should be similar, for the health checks of a run only."""
