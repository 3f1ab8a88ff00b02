"""Contract of an evaluator: two embedding tables in, named numbers out."""

from abc import ABC, abstractmethod
from typing import ClassVar

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.metric_result import MetricResult


class Evaluator(ABC):
    """Evaluates test embeddings; anything it fits is fitted on train embeddings only.

    Constructor parameters are settings. Results are deterministic and independent of the order of rows, and memory is
    bounded by working in chunks. Numbers of whole rows have a plain name ("kNN accuracy"); numbers of one field or of a
    pair start with it ("image kNN accuracy", "image>text R@1").
    """

    ROOM = "evaluators"

    place: ClassVar[int] = 50
    """Order in the output, smallest first: common numbers before expert ones. Default 50."""

    usual: ClassVar[bool] = True
    """Whether a run that names no scores computes it."""

    @abstractmethod
    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Evaluates the test rows.

        Args:
            train: Embeddings of the training rows, to fit on.
            test: Embeddings of the test rows.

        Returns:
            Results by name; empty exactly if `why_not` gives a reason.
        """

    @abstractmethod
    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason why these tables cannot be evaluated, or None; cheap to call.

        The reason is a short phrase that follows "not evaluated: ".
        """

    def for_parts(self) -> "Evaluator":
        """Evaluator that intervals run on halves of the test rows, possibly a cheaper one."""
        return self
