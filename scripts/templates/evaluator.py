"""States in one line what the evaluator measures."""

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult


class Template(Evaluator):
    """Mean cosine between a test row and the centre of all test rows.

    Say here what a high value means, and when it misleads.

    Equation:
        mean_i z_i . mean_k z_k

    Reference:
        Author et al. YEAR, arXiv:NUMBER.

    Example:
        >>> import numpy as np
        >>> z = np.ones((4, 2), np.float32) / 2**0.5
        >>> table = EmbeddingTable({"x": z}, np.array(list("abcd")))
        >>> round(Template()(table, table)["template"].value, 3)
        1.0
    """

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Embeddings of training and test rows -> the numbers found; {} exactly where `why_not` gives a reason."""
        if self.why_not(train, test) is not None:
            return {}
        z = test.whole()
        return {"template": MetricResult.mean(z @ z.mean(0), bounds=(-1, 1), higher_is_better=False)}

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """The reason why these rows cannot be evaluated, as words that follow "not evaluated: "; else None."""
        return None if len(test) > 1 else "fewer than two test rows"
