"""Geometry: how the test rows lie on the sphere: pairs near, the rest spread, no direction unused. N rows, width D."""

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
    """Health rather than merit: a collapse shows here whatever the labels, a good value alone proves nothing.

    At most `rows` rows, drawn by a hash of their id.
    uniformity: log mean exp(-t |x - y|^2) over pairs of rows, 0 if collapsed, about -t * 2 if spread over many
    dimensions; and, between fields, "one>other alignment": mean |x - y|^2 of a row's two fields, chance that of two
    rows (Wang, Isola, ICML 2020, equations 1 and 3). effective rank: exp of the entropy of the normalised singular
    values (Roy, Vetterli, EUSIPCO 2007), 1 if collapsed, at most D.
    spread: the root of the total variance, 0 if collapsed, 1 if the mean is the centre of the sphere.
    """

    place = 60

    def __init__(self, *, t: Annotated[float, Range(0, 100)] = 2.0, rows: Annotated[int, Range(2)] = 2000) -> None:
        self.t, self.rows = t, rows

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Too few rows for a shape."""
        return None if present(test).sum() > 1 else "fewer than two test rows"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Name -> distance of a row's pair, or a shape of all rows."""
        if self.why_not(train, test) is not None:
            return {}
        found = {}
        for one, other in pairs(test):
            if list(test.z).index(one) < list(test.z).index(other):  # alignment is the same both ways
                found[f"{one}>{other} alignment"] = alignment(test, one, other)
        space = spaces(test)[0]
        return found | self._shape(space.take(np.arange(min(self.rows, len(space)))))

    def for_parts(self) -> Evaluator:
        """With `PART` rows at most: a shape's error goes by its rows, and their pairs need not all be looked at."""
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
    """Squared distance of each row's two fields; chance is its mean over the fields of different rows."""
    both = test.has(one) & test.has(other)
    x, y = unit(test.z[one][both]).astype(np.float64), unit(test.z[other][both]).astype(np.float64)
    distance, n = ((x - y) ** 2).sum(1), len(x)
    # |x - y|^2 = |x|^2 + |y|^2 - 2xy, summed over all pairs, less the rows' own
    everyone = n * ((x**2).sum() + (y**2).sum()) - 2 * x.sum(0) @ y.sum(0)
    chance = float((everyone - distance.sum()) / (n * (n - 1))) if n > 1 else None
    pair = f"{one}>{other}"
    return MetricResult.mean(
        distance, alone=True, chance=chance, higher_is_better=False, bounds=(0, 4), field=pair, across=True
    )


def uniformity(z_ND: np.ndarray, t: float) -> float:
    """Over all pairs of rows, none with itself."""
    n = len(z_ND)
    kernel_NN = np.exp(-t * np.maximum(2 - 2 * (z_ND @ z_ND.T), 0))
    np.fill_diagonal(kernel_NN, 0)
    return min(float(np.log(kernel_NN.sum(dtype=np.float64) / (n * (n - 1)))), 0.0)


def effective_rank(z_ND: np.ndarray) -> float:
    """Singular values from the smaller Gram matrix in float64: their squares are its eigenvalues."""
    z = torch.from_numpy(z_ND).double()
    gram = z.T @ z if z.shape[0] > z.shape[1] else z @ z.T
    s = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().numpy()
    p = s / max(s.sum(), 1e-12)
    p = p[p > 1e-7]  # below is the rounding of the Gram matrix, not a direction
    return float(np.exp(-(p * np.log(p)).sum()))


def spread(z_ND: np.ndarray) -> float:
    """The root of the variance summed over the coordinates."""
    return float(np.sqrt(z_ND.var(axis=0, dtype=np.float64).sum()))
