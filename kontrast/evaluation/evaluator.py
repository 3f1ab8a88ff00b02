"""The contract of a judge: two banks become named numbers. One file each in this folder."""

from abc import ABC, abstractmethod
from typing import ClassVar

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.metric_result import MetricResult


class Evaluator(ABC):
    """Judges a test bank, learning (if it learns) from a train bank alone. Constructor parameters are settings.

    Deterministic, blind to the order of rows, memory bounded by chunks. Numbers of whole rows have a plain name ("kNN
    accuracy"); those of one field, or of a pair, begin with it ("image kNN accuracy", "image>text R@1").
    """

    ROOM = "evaluators"

    place: ClassVar[int] = 50
    """Where it stands among others, the smallest first: what users ask for before what experts read."""

    @abstractmethod
    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """What is found; {} exactly where `why_not` gives a reason."""

    @abstractmethod
    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Why these banks cannot be judged, in a few words that follow "not judged: "; None where they can. Cheap."""

    def for_parts(self) -> "Evaluator":
        """The judge that is asked dozens of times on halves, for an interval: itself, unless a quicker one would do."""
        return self
