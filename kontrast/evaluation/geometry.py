"""Shape of the test embeddings on the sphere: alignment, uniformity, effective rank, spread."""

from typing import Annotated

import numpy as np
import torch

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.factory import Range
from kontrast.core.unit_rows import unit
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.retrieval import pairs
from kontrast.evaluation.spaces import Space, present, spaces

PART = 500


class Geometry(Evaluator):
    """Health rather than merit: reveals collapse without labels; good values alone prove nothing.

    Args:
        t: Factor in the exponent of the uniformity kernel, 0 to 100. Default 2, as in the paper.
        rows: At most this many test rows, drawn by a hash of their id. Default 2,000.

    Returns:
        `uniformity`: 0 if collapsed, about -2 t if spread over many dimensions.
        `effective rank`: exponential of the entropy of the normalised singular values s / sum(s); 1 if collapsed, at
        most
        the width D.
        `spread`: root of the total variance; 0 if collapsed, 1 if the mean is the centre of the sphere.
        `one>other alignment` per pair of fields: mean squared distance of a row's two fields; chance is that of
        different
        rows.

    Equation:
        uniformity = log mean_{i != j} exp(-t |x_i - x_j|^2); alignment = mean_i |x_i - y_i|^2

    Reference:
        Wang, Isola, ICML 2020, arXiv:2005.10242, equations 1 and 3; Roy, Vetterli, EUSIPCO 2007 (effective rank).

    Example:
        >>> import numpy as np
        >>> from kontrast.core.embedding_table import EmbeddingTable
        >>> table = EmbeddingTable({"x": np.eye(4, dtype=np.float32)}, np.array(list("abcd")))
        >>> round(Geometry()(table, table)["effective rank"].value, 3)
        4.0
    """

    place = 60

    def __init__(self, *, t: Annotated[float, Range(0, 100)] = 2.0, rows: Annotated[int, Range(2)] = 2000) -> None:
        self.t, self.rows = t, rows

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if there are fewer than two test rows."""
        return None if present(test).sum() > 1 else "fewer than two test rows"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Alignment per pair of fields, then the shape of all whole rows."""
        if self.why_not(train, test) is not None:
            return {}
        found = {}
        for one, other in pairs(test):
            if list(test.z).index(one) < list(test.z).index(other):  # alignment is the same both ways
                found[f"{one}>{other} alignment"] = alignment(test, one, other)
        space = spaces(test)[0]
        return found | self._shape(space.take(np.arange(min(self.rows, len(space)))))

    def for_parts(self) -> Evaluator:
        """The same with at most `PART` rows.

        The error of a shape depends on its number of rows, so their pairs need not all be computed.
        """
        return Geometry(t=self.t, rows=min(self.rows, PART))

    def _shape(self, space: Space) -> dict[str, MetricResult]:
        n, rank, field = len(space), float(min(space.z.shape)), space.field
        near = uniformity(space.z, self.t)
        return {
            space.named("uniformity"): MetricResult(near, n, higher_is_better=False, bounds=(-np.inf, 0), field=field),
            space.named("effective rank"): MetricResult(effective_rank(space.z), n, bounds=(1, rank), field=field),
            space.named("spread"): MetricResult(spread(space.z), n, bounds=(0, 1), field=field),
        }


def alignment(test: EmbeddingTable, one: str, other: str) -> MetricResult:
    """Mean squared distance of each row's two fields.

    Args:
        test: Embeddings; only rows with both fields count.
        one: First field.
        other: Second field, of equal width.

    Returns:
        Result per row; chance is the mean squared distance between fields of different rows.
    """
    both = test.has(one) & test.has(other)
    x, y = unit(test.z[one][both]).astype(np.float64), unit(test.z[other][both]).astype(np.float64)
    distance, n = ((x - y) ** 2).sum(1), len(x)
    # |x - y|^2 = |x|^2 + |y|^2 - 2xy, summed over all pairs; the rows' own pairs are subtracted below
    everyone = n * ((x**2).sum() + (y**2).sum()) - 2 * x.sum(0) @ y.sum(0)
    chance = float((everyone - distance.sum()) / (n * (n - 1))) if n > 1 else None
    pair = f"{one}>{other}"
    return MetricResult.mean(
        distance, alone=True, chance=chance, higher_is_better=False, bounds=(0, 4), field=pair, across=True
    )


def uniformity(z_ND: np.ndarray, t: float) -> float:
    """Logarithm of the mean Gaussian kernel exp(-t |x_i - x_j|^2) over pairs of different rows."""
    n = len(z_ND)
    kernel_NN = np.exp(-t * np.maximum(2 - 2 * (z_ND @ z_ND.T), 0))
    np.fill_diagonal(kernel_NN, 0)
    return min(float(np.log(kernel_NN.sum(dtype=np.float64) / (n * (n - 1)))), 0.0)


def effective_rank(z_ND: np.ndarray) -> float:
    """Exponential of the entropy of the normalised singular values.

    Computed from the eigenvalues of the smaller Gram matrix, in float64.
    """
    z = torch.from_numpy(z_ND).double()
    gram = z.T @ z if z.shape[0] > z.shape[1] else z @ z.T
    s = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().numpy()
    p = s / max(s.sum(), 1e-12)
    p = p[p > 1e-7]  # smaller values are rounding of the Gram matrix, not directions
    return float(np.exp(-(p * np.log(p)).sum()))


def spread(z_ND: np.ndarray) -> float:
    """Square root of the variance summed over the coordinates."""
    return float(np.sqrt(z_ND.var(axis=0, dtype=np.float64).sum()))
