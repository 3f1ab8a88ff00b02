"""Retrieval by cosine similarity, between fields and among rows of the same label."""

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
SAME = 1e-6  # cosines closer than this count as tied, so that a collapsed encoder gains nothing from rounding


class Retrieval(Evaluator):
    """Ranks test rows by cosine similarity; nothing is fitted on train rows.

    Between fields, for every ordered pair: each row with both fields queries all test rows that have the other field.
    Ties count as a random order in expectation. Only fields of equal width can be compared; if the fields share no
    space,
    these numbers apply to raw features only (`MetricResult.across`).

    Within whole rows, if labels are known: ties are ordered by a hash of the id. Chance is the expectation over random
    orders throughout.

    Args:
        ks: Cut-offs of R@k, each at least 1. Default 1 and 10.
        queries: At most this many rows query within whole rows; all rows are candidates. Default 2,000.

    Returns:
        `one>other R@k`: share of rows whose own row is among the k nearest.
        `one>other MRR`: mean reciprocal rank of the own row.
        `mAP`: mean over rows of the average precision at finding their label.
        `MAP@R`: the same, cut off at R, the number of rows to find.

    Equation:
        R@k = mean_i [rank_i <= k]; MRR = mean_i 1 / rank_i; MAP@R = mean_i 1/R_i sum_{j <= R_i} [j is relevant]
        precision_i(j)

    Reference:
        Musgrave, Belongie, Lim, "A metric learning reality check", ECCV 2020, section 3.2, arXiv:2003.08505 (MAP@R).

    Example:
        >>> from kontrast.core.embedding_table import EmbeddingTable
        >>> z = np.eye(3, dtype=np.float32)
        >>> table = EmbeddingTable({"image": z, "text": z}, np.array(list("abc")), shared=True)
        >>> Retrieval(ks=(1,))(table, table)["image>text R@1"].value
        1.0
    """

    place = 40

    def __init__(
        self, *, ks: tuple[Annotated[int, Range(1)], ...] = (1, 10), queries: Annotated[int, Range(1)] = 2000
    ) -> None:
        self.ks, self.queries = tuple(ks), queries

    def why_not(self, train: EmbeddingTable, test: EmbeddingTable) -> str | None:
        """Reason if there are neither two comparable fields nor usable labels."""
        if pairs(test):
            return None
        unfit = ungroupable(test)
        few = "one field only" if len(test.z) < 2 else "no row has two fields of equal width"
        if unfit is None:
            return None if _can_find(spaces(test)[0].labelled()).any() else f"{few}, and no label has two rows"
        return f"{few}, and {unfit}"

    def __call__(self, train: EmbeddingTable, test: EmbeddingTable) -> dict[str, MetricResult]:
        """Hits, reciprocal ranks and average precisions by name, with one entry per query."""
        found = {}
        for one, other in pairs(test):
            found |= self._between(test, one, other)
        if ungroupable(test) is None:
            found |= self._within(spaces(test)[0].labelled())
        return found

    def _between(self, test: EmbeddingTable, one: str, other: str) -> dict[str, MetricResult]:
        candidates = test.has(other)
        asking = test.has(one) & candidates
        own = (np.cumsum(candidates) - 1)[asking]  # index of each query's own row among the candidates
        before, equal = ranks(unit(test.z[one][asking]), unit(test.z[other][candidates]), own)
        M, pair = int(candidates.sum()), f"{one}>{other}"

        def evidence(values: np.ndarray, chance: float) -> MetricResult:
            return MetricResult.mean(values, chance=chance, field=pair, across=True)

        # the rank is uniform over before + 1 ... before + equal + 1
        found = {f"{pair} R@{k}": evidence(np.clip((k - before) / (equal + 1), 0, 1), min(k / M, 1.0)) for k in self.ks}
        harmonic = harmonics(M)
        reciprocal = (harmonic[before + equal + 1] - harmonic[before]) / (equal + 1)
        return found | {f"{pair} MRR": evidence(reciprocal, harmonic[M] / M)}

    def _within(self, space: Space) -> dict[str, MetricResult]:
        asking = np.flatnonzero(_can_find(space))[: self.queries]  # hash order: a random sample
        if not len(asking):
            return {}
        code = np.unique(space.labels, return_inverse=True)[1]
        average, at_r = precisions(space.z, code, asking)
        R = np.bincount(code)[code[asking]] - 1
        M = len(space) - 1
        H = harmonics(M)
        # In a random order place i is relevant with probability R/M, and then (i-1)(R-1)/(M-1) of those before it are.
        ahead = (R - 1) / max(M - 1, 1)
        chances = (H[M] + ahead * (M - H[M])) / M, (H[R] + ahead * (R - H[R])) / M
        return {
            name: MetricResult.mean(values, chance=float(chance.mean()))
            for name, values, chance in zip(("mAP", "MAP@R"), (average, at_r), chances, strict=True)
        }


def pairs(bank: EmbeddingTable) -> list[tuple[str, str]]:
    """Ordered pairs of fields of equal width that at least one row has both of."""
    return [
        (a, b)
        for a, b in permutations(bank.z, 2)
        if bank.z[a].shape[1] == bank.z[b].shape[1] and (bank.has(a) & bank.has(b)).any()
    ]


def ranks(asking_ND: np.ndarray, candidates_MD: np.ndarray, own_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts candidates nearer than each row's own, and others equally near.

    Args:
        asking_ND: (N, D) queries of unit length.
        candidates_MD: (M, D) candidates of unit length.
        own_N: (N,) index of each query's own candidate.

    Returns:
        Two (N,) integer arrays.
    """
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
    """Average precision of each query over all other rows, complete and cut off at R.

    Args:
        z_ND: (N, D) rows of unit length.
        code_N: (N,) label codes.
        asking: Indices of the queries.
    """
    N, z = len(z_ND), torch.from_numpy(z_ND)
    bits = N.bit_length()
    whole, at_r = [], []
    for rows in np.split(asking, range(TILE // N, len(asking), max(1, TILE // N))) if len(asking) else ():
        # One integer holds distance and index: takes a third of the time of a stable sort of similarities.
        far_BN = ((z[rows] @ z.T) / -SAME).round().numpy().astype(np.int64)
        far_BN[np.arange(len(rows)), rows] = 2**30  # sorts the row itself last, where it is cut off
        order_BM = np.sort((far_BN << bits) | np.arange(N), axis=1)[:, :-1] & (2**bits - 1)
        row, place = np.nonzero(code_N[order_BM] == code_N[rows][:, None])
        R = np.bincount(row, minlength=len(rows))
        found = np.arange(len(row)) - (np.cumsum(R) - R)[row]  # relevant rows ranked before
        precision = (found + 1) / (place + 1)
        whole.append(np.bincount(row, precision, len(rows)) / R)
        at_r.append(np.bincount(row, precision * (place < R[row]), len(rows)) / R)
    return np.concatenate(whole), np.concatenate(at_r)


def harmonics(n: int) -> np.ndarray:
    """Harmonic numbers H[0] ... H[n], with H[i] = sum_{j <= i} 1 / j."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])


def _can_find(space: Space) -> np.ndarray:
    """(N,) bool: rows that share their label with another row."""
    _, code, counts = np.unique(space.labels, return_inverse=True, return_counts=True)
    return counts[code] > 1
