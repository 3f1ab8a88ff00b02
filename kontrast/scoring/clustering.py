"""Clustering: do k-means clusters of the test rows fall together with the labels?"""

import numpy as np

from kontrast.core.bank import Bank
from kontrast.scoring.evidence import Evidence
from kontrast.scoring.score import Score
from kontrast.scoring.spaces import spaces, ungroupable


class Clustering(Score):
    """k-means on whole test rows, as many clusters as classes, held against the labels: what shows without any label.

    NMI: shared information over the arithmetic mean of both entropies; AMI: the same less what chance shares (Vinh,
    Epps, Bailey, JMLR 2010);
    ARI: agreement on pairs, less chance (Hubert, Arabie 1985). The best of `starts` k-means++ starts with a fixed
    seed; at most `rows` rows, drawn by a hash of their id. Intervals are over the rows, with the clusters as they
    were found. Chance: with shuffled labels.
    """

    place = 50

    def __init__(self, *, starts: int = 5, rows: int = 10_000) -> None:
        self.starts, self.rows = starts, rows

    def why_not(self, train: Bank, test: Bank) -> str | None:
        """No labels, or one class only."""
        return ungroupable(test)

    def __call__(self, train: Bank, test: Bank) -> dict[str, Evidence]:
        """Name -> cluster and class of every labelled test row."""
        if self.why_not(train, test) is not None:
            return {}
        from sklearn.metrics import (
            adjusted_mutual_info_score,
            adjusted_rand_score,
            normalized_mutual_info_score,
        )

        space = spaces(test)[0].labelled()
        space = space.take(np.arange(min(self.rows, len(space))))
        code = np.unique(space.labels, return_inverse=True)[1]
        cluster = self._clusters(space.z, int(code.max()) + 1)
        rng = np.random.default_rng(0)
        chance = float(np.mean([normalized_mutual_info_score(rng.permutation(code), cluster) for _ in range(10)]))
        return {
            "NMI": Evidence((code, cluster), normalized_mutual_info_score, chance=chance, bounds=(0, 1)),
            "AMI": Evidence((code, cluster), adjusted_mutual_info_score, chance=0.0, bounds=(-1, 1)),
            "ARI": Evidence((code, cluster), adjusted_rand_score, chance=0.0, bounds=(-1, 1)),
        }

    def _clusters(self, z_ND: np.ndarray, k: int) -> np.ndarray:
        from sklearn.cluster import KMeans

        k = min(k, len(np.unique(z_ND.round(6), axis=0)))  # a collapsed encoder has fewer points than classes
        means = KMeans(k, n_init=self.starts, random_state=0)  # pyright: ignore[reportArgumentType] (it takes int, too)
        return means.fit_predict(z_ND)
