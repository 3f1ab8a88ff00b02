"""The principal components of the raw cells."""

from sklearn.decomposition import PCA

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.plain import numbers
from benchmarks.league.task import Task

WIDTH = 64


class Pca(Contestant):
    """At most 64 components of the training rows, whitened by nobody."""

    title, standing = "PCA", "plain"

    def suits(self, task: Task) -> bool:
        """One field of pictures or series."""
        return not task.pairs and set(task.kinds.values()) <= {"image", "series"}

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Of the training rows."""
        ((field, kind),) = task.kinds.items()
        rows = numbers(task.train[field], kind)
        pca = PCA(min(WIDTH, *rows.shape), random_state=seed).fit(rows)
        return lambda field, cells: pca.transform(numbers(cells, kind))
