"""Contract of a task: an objective in parts, of any kind, and the embedding served afterwards."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from kontrast.core import renamed
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features


class Output(NamedTuple):
    """Rows that a task compares.

    Attributes:
        z: (B, D), or (B, P, D): axis 0 is the sample.
        view: Name of the view whose keys the rows carry; a momentum output names its view too.
        keys: Keys that the task itself adds.
    """

    z: Tensor
    view: str
    keys: Keys = {}


class Task(nn.Module, ABC):
    """A self-supervised, supervised, preference or auxiliary objective. Several may share encoders in one run.

    The constructor takes `encoders: EncoderInfo` first, then settings by name; of the facts `classes`, `class_counts`,
    `samples` and `target_facts` it gets those that it names. The names `fields`, `rows`, `sampler`, `rows_per_step`,
    `weight` and `augmentations` are not free for settings: a run has these for every task.

    `forward` and `targets` may run on a part of the rows (gradient caching), so they must not mix rows. `compute_loss`
    gets all rows of this rank, asks `ranks` for the others', and returns sums with their counts. State that changes
    between steps changes in `after_update` only. docs/concepts/extending.md builds a task.

    Attributes:
        shared: Whether all fields share one space, so that one can be searched by another.
        min_fields: Fewest fields it takes.
        max_fields: Most fields it takes; None for any number.
        needs: Targets (label, number, group ...) that columns of the data must provide.
        uses: Of "momentum" (momentum copies of the encoders), "reference" (frozen copies of the start), "dense" (dense
            features), "teacher" and "teacher classes" (a key of each row by the model that the setting `teacher` names;
            `tasks.taught` has its name).
        asks: Settings of modalities that suit it, by name; those that a modality does not have are left out.
        strength: Default strength of augmentation: "strong" if augmentation makes the pairs, "light" if the data does.
        caution: What to know before its results are trusted, a line of the first screen; empty for most.
        momentum: Momentum of the momentum encoders in the coming update; `begin` sets it.
    """

    ROOM = "tasks"

    shared: bool = False
    min_fields: int = 1
    max_fields: int | None = None
    needs: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    asks: Mapping[str, object] = {}
    strength: str = "strong"
    caution: str = ""
    momentum: float = 0.0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for old, new in renamed.TASK.items():
            if old in vars(cls):
                renamed.notice(f"{cls.__name__}.{old}", new)
                setattr(cls, new, vars(cls)[old])

    @abstractmethod
    def views(self) -> Mapping[str, ViewSpec]:
        """Views of a step by a name of the task's own; a field may occur more than once."""

    @abstractmethod
    def forward(self, encoders: EncodedViews, batch: Batch) -> Mapping[str, Output]:
        """Outputs with gradient.

        Args:
            encoders: `encoders(batch, names)` gives the features of views.
            batch: The views, by the names of `views()`, and the keys of the rows, such as `label` and `has FIELD`.
        """

    def targets(self, encoders: EncodedViews, batch: Batch) -> Mapping[str, Output]:
        """Outputs without gradient, from momentum or reference encoders; arguments as `forward`."""
        return {}

    @abstractmethod
    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> Mapping[str, LossTerm]:
        """Terms of the objective.

        Args:
            out: Embeddings of this rank, by the names that `forward` and `targets` gave them.
            ranks: Access to the other ranks' rows.

        Returns:
            A weighted sum with its count per term.
        """

    def begin(self, clock: Clock) -> None:
        """Sets what follows a schedule, before each step."""
        return

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Changes state after the optimiser's step: queues, centres, momentum copies of the task's own heads."""
        return

    def embed(self, field: str, features: Features) -> Tensor:
        """The served embedding of unaugmented rows of one field, (B, D), not normalised; the features by default."""
        return features.pooled

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> Sequence[tuple[Embeddings, Embeddings]]:
        """Aligned rows that should be similar, for health and verdict only; empty where there are none."""
        return ()

    def collapse_causes(self) -> list[str]:
        """Settings of its own by which embeddings collapse, as clauses; named first if they do."""
        return []
