"""Agreement of k-means clusters with the labels of the test rows."""

from typing import Annotated

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.factory import Range
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import spaces, ungroupable


class Clustering(Evaluator):
    """Agreement of k-means clusters with the labels: shows structure that needs no labels to find.

    Clusters whole test rows into as many clusters as there are classes; the best of `starts` k-means++ starts with a
    fixed seed.

    Args:
        starts: Runs of k-means, 1 to 1,000; the one with the lowest inertia is kept. Default 5.
        rows: At most this many test rows, drawn by a hash of their id. Default 10,000.

    Returns:
        `NMI` (mutual information over the arithmetic mean of both entropies; chance: its expectation over shuffled
        labels), `AMI` (NMI adjusted for chance) and `ARI` (agreement on pairs of rows, adjusted for chance).

    Equation:
        NMI = 2 I(C, K) / (H(C) + H(K)); AMI = (NMI - E NMI) / (1 - E NMI)

    Reference:
        Vinh, Epps, Bailey, JMLR 2010 (NMI, AMI); Hubert, Arabie, Journal of Classification 1985 (ARI).

    Example:
        >>> import numpy as np
        >>> from kontrast.core.embedding_table import EmbeddingTable
        >>> z = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
        >>> table = EmbeddingTable({"x": z}, np.array(list("abcd")), np.array(["cat", "cat", "dog", "dog"]))
        >>> round(Clustering()(table, table)["NMI"].value, 3)
        1.0
    """

    place = 50

    def __init__(self, *, starts: Annotated[int, Range(1, 1000)] = 5, rows: Annotated[int, Range(2)] = 10_000) -> None:
        self.starts, self.rows = starts, rows

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if the test rows have no labels or fewer than two classes."""
        return ungroupable(test)

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Agreement by name, over the labelled test rows."""
        if self.why_not(train, test) is not None:
            return {}
        space = spaces(test)[0].labelled()
        space = space.take(np.arange(min(self.rows, len(space))))
        code, n = np.unique(space.labels, return_inverse=True)[1], len(space)
        cluster = self._clusters(space.z, int(code.max()) + 1)
        nmi, chance, ami, ari = agreement(code, cluster)
        return {
            "NMI": MetricResult(nmi, n, chance=chance, bounds=(0, 1)),
            "AMI": MetricResult(ami, n, chance=0.0, bounds=(-1, 1)),
            "ARI": MetricResult(ari, n, chance=0.0, bounds=(-1, 1)),
        }

    def for_parts(self) -> Evaluator:
        """The same with one start; the interval then also covers the variation between starts."""
        return Clustering(starts=1, rows=self.rows)

    def _clusters(self, z_ND: np.ndarray, k: int) -> np.ndarray:
        from sklearn.cluster import KMeans

        # a collapsed encoder has fewer points than classes
        k = min(k, len({row.tobytes() for row in z_ND.round(6) + 0.0}))
        means = KMeans(k, n_init=self.starts, random_state=0)  # pyright: ignore[reportArgumentType] (it takes int, too)
        return means.fit_predict(z_ND)


def agreement(code_N: np.ndarray, cluster_N: np.ndarray) -> tuple[float, float, float, float]:
    """NMI, its expectation over shuffled labels, AMI and ARI, from one contingency table.

    Needs two classes or more. scikit-learn has one function for each of the four (a test compares them), whose argument
    checks take longer than the clustering of 200 rows.

    Args:
        code_N: (N,) class codes from 0.
        cluster_N: (N,) cluster codes from 0.
    """
    from sklearn.metrics.cluster import expected_mutual_information

    n, k = len(code_N), int(cluster_N.max()) + 1
    table_CK = np.bincount(code_N * k + cluster_N, minlength=(int(code_N.max()) + 1) * k).reshape(-1, k)
    of_class, of_cluster = table_CK.sum(1), table_CK.sum(0)
    both = _entropy(of_class / n) + _entropy(of_cluster / n)
    nmi = 2 * (both - _entropy(table_CK.ravel() / n)) / both
    chance = 2 * float(expected_mutual_information(table_CK, n)) / both
    together, one, other = (float((x * (x - 1) / 2).sum()) for x in (table_CK, of_class, of_cluster))
    by_luck = one * other / max(n * (n - 1) / 2, 1)
    most = (one + other) / 2
    ami = (nmi - chance) / (1 - chance) if chance < 1 - 1e-9 else 1.0
    ari = (together - by_luck) / (most - by_luck) if most > by_luck else 1.0
    return min(max(nmi, 0.0), 1.0), chance, ami, ari


def _entropy(share: np.ndarray) -> float:
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())
