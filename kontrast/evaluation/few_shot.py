"""Few-shot accuracy: test rows take the class of the nearest mean of a few others."""

from typing import Annotated

import numpy as np

from kontrast.core import random_streams
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.factory import Range
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import Space, spaces, ungroupable

MOST = 100  # rows per class that episodes draw from
HELD = 2**22  # numbers of one block of episodes: 16 MB
FEWER = 4  # times fewer episodes on halves of the rows


class FewShot(Evaluator):
    """N-way K-shot accuracy: K rows of each of N classes are known, and others take the class of the nearest mean.

    An episode draws N classes and, of each, K known rows and up to 15 others, all from the test rows; nothing is fitted
    on train rows. For classes that training never saw (new words, speakers, products), hold whole classes out with a
    split column. Classes with fewer than K + 1 rows are left out, and with fewer classes than N all of them are drawn:
    chance, one in N, says how many.

    Args:
        way: Classes per episode, 2 to 1,000. Default 5, as in the paper.
        shots: Known rows per class, each 1 to 50; one number each. Default 1 and 5, as in the paper.
        queries: Other rows per class and episode, 1 to 50; fewer if the class has fewer. Default 15.
        episodes: Episodes, 1 to 10,000. Default 200; the paper takes 600.
        seed: Seed of the episodes. Default 0.

    Returns:
        `1-shot accuracy`, `5-shot accuracy` and so on, of whole rows. The interval covers the choice of test rows,
        unlike the usual one over episodes, which share the rows.

    Equation:
        accuracy = mean over episodes and rows of [argmin_c |x - mean of the K rows of c| = y]

    Reference:
        Snell, Swersky, Zemel, "Prototypical networks for few-shot learning", NeurIPS 2017, arXiv:1703.05175; episodes
        of Vinyals et al. 2016, arXiv:1606.04080.

    Example:
        >>> z = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
        >>> table = EmbeddingTable({"x": z}, np.array(list("abcd")), np.array(["yes", "yes", "no", "no"]))
        >>> FewShot()(table, table)["1-shot accuracy"].value
        1.0
    """

    place = 80
    usual = False

    def __init__(
        self,
        *,
        way: Annotated[int, Range(2, 1000)] = 5,
        shots: tuple[Annotated[int, Range(1, 50)], ...] = (1, 5),
        queries: Annotated[int, Range(1, 50)] = 15,
        episodes: Annotated[int, Range(1, 10_000)] = 200,
        seed: int = 0,
    ) -> None:
        self.way, self.shots, self.queries, self.episodes, self.seed = way, tuple(shots), queries, episodes, seed

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if no two classes have a known and another test row each."""
        unfit = ungroupable(test)
        if unfit is not None or len(self._classes(_space(test), min(self.shots))) > 1:
            return unfit
        return f"fewer than two classes with {min(self.shots) + 1} test rows"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Accuracy by name; the interval comes from evaluating halves of the rows, since episodes share rows."""
        found = {}
        if ungroupable(test) is not None:
            return found
        space = _space(test)
        for shot in self.shots:
            classes = self._classes(space, shot)
            if len(classes) > 1:
                value, rows = self._accuracy(space.z, classes, shot), sum(map(len, classes))
                chance = 1 / min(self.way, len(classes))
                found[f"{shot}-shot accuracy"] = MetricResult(value, rows, chance=chance, bounds=(0, 1))
        return found

    def for_parts(self) -> Evaluator:
        """The same with a quarter of the episodes; the interval then also covers the choice of episodes."""
        fewer = max(1, self.episodes // FEWER)
        return FewShot(way=self.way, shots=self.shots, queries=self.queries, episodes=fewer, seed=self.seed)

    def _classes(self, space: Space, shot: int) -> list[np.ndarray]:
        """Indices of the rows of each class that has enough."""
        rows = (np.flatnonzero(space.labels == label)[:MOST] for label in np.unique(space.labels))
        return [index for index in rows if len(index) > shot]

    def _accuracy(self, z_ND: np.ndarray, classes: list[np.ndarray], shot: int) -> float:
        """Mean over episodes of the share of rows that are nearest to the mean of their own class."""
        rng = np.random.default_rng([random_streams.folded(self.seed), shot])
        way, D = min(self.way, len(classes)), z_ND.shape[1]
        step, shares = max(1, HELD // (way * (shot + self.queries) * D)), []
        for start in range(0, self.episodes, step):
            drawn_EWT = draw(rng, classes, way, shot + self.queries, min(step, self.episodes - start))
            E, asked_EWQ = len(drawn_EWT), drawn_EWT[:, :, shot:]
            mean_EWD = z_ND[drawn_EWT[:, :, :shot]].mean(2)
            asked_EMD = z_ND[asked_EWQ].reshape(E, -1, D)
            # |x - m|^2 / 2 without |x|^2, which is the same for all classes
            far_EMW = (mean_EWD**2).sum(2)[:, None] / 2 - asked_EMD @ mean_EWD.transpose(0, 2, 1)
            right_EWQ = far_EMW.argmin(2).reshape(asked_EWQ.shape) == np.arange(way)[:, None]
            there_EWQ = asked_EWQ >= 0
            shares.append((right_EWQ & there_EWQ).sum((1, 2)) / there_EWQ.sum((1, 2)))
        return float(np.concatenate(shares).mean())


def draw(rng: np.random.Generator, classes: list[np.ndarray], way: int, take: int, episodes: int) -> np.ndarray:
    """Rows of episodes: each draws classes without repetition, and rows of each class likewise.

    Args:
        rng: Generator.
        classes: Indices of the rows of each class.
        way: Classes per episode.
        take: Rows per class.
        episodes: Episodes.

    Returns:
        (episodes, way, take) indices, -1 where a class has no more rows.
    """
    of_EW = rng.random((episodes, len(classes))).argsort(1)[:, :way]
    counts, longest = np.array([len(index) for index in classes]), max(map(len, classes))
    rows_CL = np.full((len(classes), max(longest, take)), -1)
    for line, index in zip(rows_CL, classes, strict=True):
        line[: len(index)] = index
    order_EWL = rng.random((*of_EW.shape, rows_CL.shape[1]))
    order_EWL[np.arange(rows_CL.shape[1]) >= counts[of_EW][:, :, None]] = 2  # rows that do not exist come last
    return np.take_along_axis(rows_CL[of_EW], order_EWL.argsort(2)[:, :, :take], 2)


def _space(test: EmbeddingTable) -> Space:
    return spaces(test)[0].labelled()
