"""One evaluation of validation rows while a run trains: six numbers, cheap and without intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.unit_rows import unit
from kontrast.evaluation.geometry import uniformity
from kontrast.evaluation.knn import KNN
from kontrast.evaluation.lidar import lidar
from kontrast.evaluation.pair_auc import Pairs, pair_auc
from kontrast.evaluation.rankme import rankme

FEWEST = 8  # rows with a pair: a rank of fewer is not informative
UNIFORM_T = 2.0  # exponent of the uniformity kernel, as in the paper


@dataclass(frozen=True)
class Look:
    """Numbers of one evaluation of validation rows.

    Attributes:
        step: Steps done.
        seconds: Seconds of training until then.
        cost: Seconds that the evaluation took.
        rows: Validation rows evaluated.
        values: Key of `NUMBERS` -> value; only those that apply.
    """

    step: int
    seconds: float
    cost: float
    rows: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Number:
    """How a number of a look is called and read.

    Attributes:
        title: Name.
        note: What it says, in a few words.
        rises: Whether higher is better; None if it is a sign of health rather than of merit.
    """

    title: str
    note: str
    rises: bool | None = None


NUMBERS: Mapping[str, Number] = {
    "knn": Number("kNN accuracy", "of validation rows, by the labels of training rows", True),
    "auc": Number("Pair AUC", "positive above random pairs; .5 is chance", True),
    "rankme": Number("RankMe", "directions that the embeddings use; 1 is collapse"),
    "lidar": Number("LiDAR", "directions that tell rows apart beyond augmentation"),
    "alignment": Number("Alignment", "squared distance of positive pairs; lower is closer"),
    "uniformity": Number("Uniformity", "0 is collapse, lower is more even"),
}


def look_values(train: EmbeddingTable, test: EmbeddingTable, draws: Sequence[Sequence[Pairs]]) -> dict[str, float]:
    """Numbers of one state of the weights; those that do not apply are left out.

    Args:
        train: Served embeddings of labelled training rows, which kNN learns from.
        test: Served embeddings of the validation rows, for kNN and RankMe.
        draws: Positive pairs of the validation rows, one entry per draw of their views; each draw holds one entry per
            relation between views, in the same order. AUC, alignment and uniformity come from the first draw, LiDAR
            from all.

    Returns:
        Value per key of `NUMBERS`.
    """
    found: dict[str, float] = {}
    whole = next((one for one in KNN()(train, test).values() if one.field is None), None)
    if whole is not None:
        found["knn"] = whole.value
    served = test.whole()
    served = served[served.any(1)]  # rows without any field are zero
    if len(served) >= FEWEST:
        found["rankme"] = rankme(served)
    first = [pairs for pairs in draws[0] if len(pairs.row) >= FEWEST] if draws else []
    auc = pair_auc(first)
    if auc is not None:
        found["auc"] = auc.value
    if first:
        found["alignment"] = float(np.mean([_alignment(pairs) for pairs in first]))
        found["uniformity"] = float(np.mean([uniformity(_unit(pairs.one), UNIFORM_T) for pairs in first]))
    ranks = [lidar(views) for views in map(_views, zip(*draws, strict=True)) if len(views) >= FEWEST] if draws else []
    if ranks:
        found["lidar"] = float(np.mean(ranks))
    return found


def _unit(z: np.ndarray) -> np.ndarray:
    return unit(z.astype(np.float64))


def _alignment(pairs: Pairs) -> float:
    return float(((_unit(pairs.one) - _unit(pairs.two)) ** 2).sum(1).mean())


def _views(draws: Sequence[Pairs]) -> np.ndarray:
    """(N, Q, D) unit embeddings of both sides, for the rows that every draw of one relation has."""
    rows = np.unique(draws[0].row)
    for pairs in draws[1:]:
        rows = np.intersect1d(rows, pairs.row)
    sides = [side[_places(pairs.row, rows)] for pairs in draws for side in (pairs.one, pairs.two)]
    return np.stack([_unit(side) for side in sides], axis=1)


def _places(row: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """First place of each wanted row."""
    known, place = np.unique(row, return_index=True)
    return place[np.searchsorted(known, wanted)]
