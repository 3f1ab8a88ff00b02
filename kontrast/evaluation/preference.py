"""Share of pairs in which the chosen answer beats the rejected one."""

from dataclasses import replace

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult

RULE = "the rule that the shorter wins"


class Preference(Evaluator):
    """Share of test rows in which the chosen answer scores above the rejected one.

    The number of preference learning: rewards, similarities or gains in log-probability, whichever the task learns. A
    tie counts half. Its baseline is no model at all: the shorter answer wins. Many reward models do not beat it; look
    at the paired difference.

    Returns:
        `chosen wins`.

    Equation:
        mean over rows of [margin > 0] + [margin = 0] / 2

    Reference:
        Ouyang et al. 2022, arXiv:2203.02155; on length, Singhal et al. 2023, arXiv:2310.03716.

    Example:
        >>> table = EmbeddingTable({"a": np.eye(3)}, np.array(list("pqr")), margins=np.array([2.0, -1.0, 0.0]))
        >>> Preference()(table, table)["chosen wins"].value
        0.5
    """

    place = 4

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if no row has a chosen and a rejected answer."""
        if test.margins is None:
            return "no chosen and rejected answers"
        return None if np.isfinite(test.margins).any() else "no row with a chosen and a rejected answer"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """The share, with one entry per row that has both answers."""
        if self.why_not(train, test) is not None:
            return {}
        assert test.margins is not None
        margins = test.margins[np.isfinite(test.margins)]
        wins = (margins > 0) + 0.5 * (margins == 0)
        return {"chosen wins": replace(MetricResult.mean(wins, alone=True, chance=0.5), raw=RULE)}
