"""Equal error rate of verification: do two test rows have the same label, by their cosine similarity."""

from typing import Annotated

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.factory import Range
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import Space, spaces, ungroupable

STEPS = 10**6  # thresholds per unit of cosine: closer cosines tie, so that a collapsed encoder gains nothing


class EER(Evaluator):
    """Error of verification at the threshold where both kinds of error are equally frequent.

    Pairs of test rows are accepted as alike (one speaker, one face, one product) if their cosine similarity reaches a
    threshold. All pairs of labelled rows count: those of one label are false if rejected, others if accepted. For
    speakers or faces that training never saw, hold whole classes out with a split column. Smaller is better; chance
    is .5.

    Args:
        rows: At most this many test rows, drawn by a hash of their id, 2 to 10,000; memory grows with its square.
            Default 2,000, whose 2 million pairs take a tenth of a second.

    Returns:
        `EER` of whole rows, and `FIELD EER` per field.

    Equation:
        EER = FRR(t) = FAR(t), with FRR(t) = P(cos < t | same label), FAR(t) = P(cos >= t | other label); linear between
        neighbouring thresholds

    Reference:
        Nagrani, Chung, Zisserman, "VoxCeleb: a large-scale speaker identification dataset", Interspeech 2017, section
        5.1, arXiv:1706.08612.

    Example:
        >>> z = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
        >>> table = EmbeddingTable({"x": z}, np.array(list("abcd")), np.array(["ann", "ann", "bob", "bob"]))
        >>> EER()(table, table)["EER"].value
        0.0
    """

    place = 70
    usual = False

    def __init__(self, *, rows: Annotated[int, Range(2, 10_000)] = 2000) -> None:
        self.rows = rows

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if the test rows have no pair of one label, or none of two labels."""
        unfit = ungroupable(test)
        if unfit is not None or any(_verifiable(space) for space in self._spaces(test)):
            return unfit
        return "no label has two rows"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Error by name; the interval comes from evaluating halves of the rows, since rows share their pairs."""
        if ungroupable(test) is not None:
            return {}
        return {
            space.named("EER"): MetricResult(
                equal_error_rate(space.z, np.unique(space.labels, return_inverse=True)[1]),
                len(space),
                chance=0.5,
                higher_is_better=False,
                bounds=(0, 1),
                field=space.field,
            )
            for space in self._spaces(test)
            if _verifiable(space)
        }

    def _spaces(self, test: EmbeddingTable) -> list[Space]:
        labelled = (space.labelled() for space in spaces(test))
        return [space.take(np.arange(min(self.rows, len(space)))) for space in labelled]


def equal_error_rate(z_ND: np.ndarray, code_N: np.ndarray) -> float:
    """Equal error rate over all pairs of different rows; ties count as a random order in expectation.

    Args:
        z_ND: (N, D) rows of unit length.
        code_N: (N,) label codes, with at least one pair of one code and one of two.
    """
    near_NN = np.rint(z_ND @ z_ND.T * STEPS).astype(np.int32)
    later_NN = np.triu(np.ones_like(near_NN, bool), 1)
    same_NN = code_N[:, None] == code_N
    same, other = near_NN[later_NN & same_NN], near_NN[later_NN & ~same_NN]

    def errors(threshold: int) -> tuple[float, float]:
        return float((same < threshold).mean()), float((other >= threshold).mean())

    low, high = -2 * STEPS, 2 * STEPS  # all pairs accepted, all rejected
    while high - low > 1:
        middle = (low + high) // 2
        rejected, accepted = errors(middle)
        low, high = (low, middle) if rejected >= accepted else (middle, high)
    (rejected, accepted), (more, fewer) = errors(low), errors(high)
    share = (accepted - rejected) / (accepted - rejected + more - fewer)
    return rejected + share * (more - rejected)


def _verifiable(space: Space) -> bool:
    """Whether there are pairs of one label and of two."""
    counts = np.unique(space.labels, return_counts=True)[1]
    return len(counts) > 1 and counts.max() > 1
