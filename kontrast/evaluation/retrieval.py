"""Retrieval: does a row of one field find itself in another, or others of its label? N rows ask M candidates."""

from itertools import permutations
from typing import Annotated

import numpy as np
import torch

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.factory import Range
from kontrast.core.unit_rows import unit
from kontrast.evaluation.evaluator import Evaluator
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.spaces import Space, spaces, ungroupable

TILE = 2**22  # similarities held, and sorted, at once
SAME = 1e-6  # cosines nearer than this are equal, so that a collapsed encoder ties with everything and wins nothing


class Retrieval(Evaluator):
    """Ranking test rows by cosine, with nothing learned from train.

    Between fields: for every ordered pair, each row with both asks with one among all test rows that have the other.
    "one>other R@k": its own row is among the k nearest; "one>other MRR": mean of 1 / rank. Equals count as a random
    order of them would, in expectation. Only fields of equal width can be compared; in a bank that is not shared such
    numbers stand for raw features alone (`MetricResult.across`).

    Within whole rows, where labels are known: "mAP", the mean over rows of average precision at finding their label,
    and "MAP@R", which stops after as many as there are to find (Musgrave, Belongie, Lim, "A metric learning reality
    check", ECCV 2020, section 3.2). At most `queries` rows ask; all are candidates. Equals are ordered by a hash of
    their id. Chance: the expectation over random orders.
    """

    place = 40

    def __init__(
        self, *, ks: tuple[Annotated[int, Range(1)], ...] = (1, 10), queries: Annotated[int, Range(1)] = 2000
    ) -> None:
        self.ks, self.queries = tuple(ks), queries

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Neither two comparable fields nor labels."""
        if pairs(test):
            return None
        unfit = ungroupable(test)
        few = "one field only" if len(test.z) < 2 else "no row has two fields of equal width"
        if unfit is None:
            return None if _can_find(spaces(test)[0].labelled()).any() else f"{few}, and no label has two rows"
        return f"{few}, and {unfit}"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Name -> hit, reciprocal rank or average precision of every asking row."""
        found = {}
        for one, other in pairs(test):
            found |= self._between(test, one, other)
        if ungroupable(test) is None:
            found |= self._within(spaces(test)[0].labelled())
        return found

    def _between(self, test: EmbeddingTable, one: str, other: str) -> dict[str, MetricResult]:
        candidates = test.has(other)
        asking = test.has(one) & candidates
        own = (np.cumsum(candidates) - 1)[asking]  # where each asking row stands among the candidates
        before, equal = ranks(unit(test.z[one][asking]), unit(test.z[other][candidates]), own)
        M, pair = int(candidates.sum()), f"{one}>{other}"

        def evidence(values: np.ndarray, chance: float) -> MetricResult:
            return MetricResult.mean(values, chance=chance, field=pair, across=True)

        # rank is before + 1 ... before + equal + 1, each as likely
        found = {f"{pair} R@{k}": evidence(np.clip((k - before) / (equal + 1), 0, 1), min(k / M, 1.0)) for k in self.ks}
        harmonic = harmonics(M)
        reciprocal = (harmonic[before + equal + 1] - harmonic[before]) / (equal + 1)
        return found | {f"{pair} MRR": evidence(reciprocal, harmonic[M] / M)}

    def _within(self, space: Space) -> dict[str, MetricResult]:
        asking = np.flatnonzero(_can_find(space))[: self.queries]  # in the order of a hash: a random sample
        if not len(asking):
            return {}
        code = np.unique(space.labels, return_inverse=True)[1]
        average, at_r = precisions(space.z, code, asking)
        R = np.bincount(code)[code[asking]] - 1
        M = len(space) - 1
        H = harmonics(M)
        # At random, place i holds something sought with chance R/M, and then so do (i-1)(R-1)/(M-1) of those before it.
        ahead = (R - 1) / max(M - 1, 1)
        chances = (H[M] + ahead * (M - H[M])) / M, (H[R] + ahead * (R - H[R])) / M
        return {
            name: MetricResult.mean(values, chance=float(chance.mean()))
            for name, values, chance in zip(("mAP", "MAP@R"), (average, at_r), chances, strict=True)
        }


def pairs(bank: EmbeddingTable) -> list[tuple[str, str]]:
    """Ordered pairs of fields of one width that some row has both of."""
    return [
        (a, b)
        for a, b in permutations(bank.z, 2)
        if bank.z[a].shape[1] == bank.z[b].shape[1] and (bank.has(a) & bank.has(b)).any()
    ]


def ranks(asking_ND: np.ndarray, candidates_MD: np.ndarray, own_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many candidates are nearer than each row's own, and how many others equally near: two (N,) of integers."""
    step = max(1, TILE // len(candidates_MD))
    columns_DM, own = torch.from_numpy(candidates_MD).T, torch.from_numpy(own_N)
    before, equal = [], []
    for z_BD, own_B in zip(torch.from_numpy(asking_ND).split(step), own.split(step), strict=True):
        similarity_BM = z_BD @ columns_DM
        margin_BM = similarity_BM - similarity_BM.gather(1, own_B[:, None])
        before.append((margin_BM > SAME).sum(1))
        equal.append((margin_BM.abs() <= SAME).sum(1) - 1)
    return torch.cat(before).numpy(), torch.cat(equal).numpy()


def precisions(z_ND: np.ndarray, code_N: np.ndarray, asking: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average precision, whole and at R, of each asking row over all others."""
    N, z = len(z_ND), torch.from_numpy(z_ND)
    bits = N.bit_length()
    whole, at_r = [], []
    for rows in np.split(asking, range(TILE // N, len(asking), max(1, TILE // N))) if len(asking) else ():
        # One integer says how far and, among equals, which: a third of the time of a stable sort of similarities.
        far_BN = ((z[rows] @ z.T) / -SAME).round().numpy().astype(np.int64)
        far_BN[np.arange(len(rows)), rows] = 2**30  # a row does not find itself: it comes last and is cut
        order_BM = np.sort((far_BN << bits) | np.arange(N), axis=1)[:, :-1] & (2**bits - 1)
        row, place = np.nonzero(code_N[order_BM] == code_N[rows][:, None])
        R = np.bincount(row, minlength=len(rows))
        found = np.arange(len(row)) - (np.cumsum(R) - R)[row]  # how many sought ones come before
        precision = (found + 1) / (place + 1)
        whole.append(np.bincount(row, precision, len(rows)) / R)
        at_r.append(np.bincount(row, precision * (place < R[row]), len(rows)) / R)
    return np.concatenate(whole), np.concatenate(at_r)


def harmonics(n: int) -> np.ndarray:
    """H[i] = 1 + 1/2 + ... + 1/i for i = 0 ... n."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])


def _can_find(space: Space) -> np.ndarray:
    """Which rows have another of their label."""
    _, code, counts = np.unique(space.labels, return_inverse=True, return_counts=True)
    return counts[code] > 1
