"""Anomaly scores of rows or instants: how far they lie from training, or how much a hidden instant surprises.

Axis letters: N rows, M scored rows or instants.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from kontrast.core.anomaly_table import AnomalyTable
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.instant_table import InstantTable
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.sources.open_source import opens
from kontrast.evaluation.neighbour_distances import NEIGHBOURS, Places, neighbour_distances
from kontrast.reporting.logger import Logger
from kontrast.runs import instants
from kontrast.runs.anomaly_labels import labels_of
from kontrast.runs.folder.folder import Folder
from kontrast.runs.instants import PADDING, Window, Windows
from kontrast.runs.model import Model
from kontrast.runs.opened import opened

Score = Literal["rows", "instants", "masked"]
SHARE = 0.01
_SEARCHED = 20_000  # training instants that are searched for neighbours, evenly spread
_ASKED = 5_000  # training rows or instants whose scores give the threshold


@dataclass(frozen=True)
class Scoring:
    """What is scored, and how.

    Attributes:
        score: "rows": mean distance of a row's embedding to its nearest training rows. "instants": that of an instant's
            vector to its nearest training instants. "masked": L1 distance of an instant's vector to the vector of the
            same window with that instant hidden.
        neighbours: Nearest rows or instants whose mean distance is the score.
        window: What the encoder sees of an instant, as for `Run.embed_instants`; "masked" takes causal windows.
        padding: Instants of context of a window that slides.
        past: With "masked": instants before, by whose mean the distance is divided, less 1, as TS2Vec's authors do with
            21. 0: the distance itself.
        share: Share of training scores above the threshold.

    Raises:
        UserError: A value outside its range.
    """

    score: Score = "rows"
    neighbours: int = NEIGHBOURS
    window: Window = "whole"
    padding: int = PADDING
    past: int = 0
    share: float = SHARE

    def __post_init__(self) -> None:
        if self.score not in get_args(Score):
            raise UserError(f"anomalies: score={self.score!r}; expected one of {', '.join(get_args(Score))}.")
        for name, value, least in (("neighbours", self.neighbours, 1), ("past", self.past, 0)):
            if value < least:
                raise UserError(f"anomalies: {name}={value}; expected {least} or more.")
        if not 0 < self.share < 1:
            raise UserError(f"anomalies: share={self.share}; expected a number between 0 and 1.")
        _ = self.windows

    @property
    def windows(self) -> Windows:
        """The windows that instants are embedded from."""
        return Windows("causal" if self.score == "masked" else self.window, padding=self.padding)


@dataclass(frozen=True)
class Request:
    """What is scored, and beside what.

    Attributes:
        data: The rows to score.
        train: The rows to compare with. None: those that the run was trained on.
        labels: Column of `data` that says what is an anomaly. None: unknown.
        field: The field to score. None: the only one, or all of a row.
        outside: Whether cells may name files outside of the data's folder.
        logger: Receives progress, notes and the rows left out.
    """

    data: object
    train: object
    labels: str | None
    field: str | None
    outside: bool
    logger: Logger


@dataclass(frozen=True)
class Scored:
    """Scores before the threshold is known.

    Attributes:
        ids: (N,) strings.
        places: Row and instant of each score.
        score: (M,) float64.
        usual: Scores of training rows or instants.
        labels: (M,) bool; None without labels.
    """

    ids: np.ndarray
    places: Places
    score: np.ndarray
    usual: np.ndarray
    labels: np.ndarray | None


def score_anomalies(folder: Folder, asked: Request, how: Scoring) -> AnomalyTable:
    """Scores rows or instants of data by the run in a folder.

    Raises:
        UserError: Data, field, labels or encoder do not fit.
    """
    model = Model.load(folder)
    found = (_rows if how.score == "rows" else _instants)(model, folder, asked, how)
    usual = found.usual[np.isfinite(found.usual)]
    if not len(usual):
        raise UserError("anomalies: no training score is known, so there is no threshold; name more training data.")
    instant = None if how.score == "rows" else found.places.instant
    threshold = float(np.quantile(usual, 1 - how.share))
    return AnomalyTable(found.ids, found.places.row, instant, found.score, threshold, found.labels)


def _rows(model: Model, folder: Folder, asked: Request, how: Scoring) -> Scored:
    """Scores of rows, and of training rows, each without itself."""
    if asked.field is not None and asked.field not in model.modalities:
        raise UserError(f"this run has no field '{asked.field}'{did_you_mean(asked.field, model.fields)}")
    with opened(model, asked.data, asked.outside, asked.logger) as dataset:
        table = model.embed(dataset, progress=asked.logger.progress)
        labels = None if asked.labels is None else labels_of(asked.data, asked.labels, dataset, None)
    if asked.train is None:
        reference = EmbeddingTable.load(folder.embeddings / "trained-train.parquet")
    else:
        with opened(model, asked.train, asked.outside, asked.logger) as dataset:
            reference = model.embed(dataset, progress=asked.logger.progress)
    z, among = _vectors(table, asked.field), _vectors(reference, asked.field)
    there = np.isfinite(among).all(1)
    among, names = among[there], reference.ids[there]
    # A row of training is not its own neighbour if it is scored too: rows are known by their ids.
    codes = np.unique(np.concatenate([names, table.ids]), return_inverse=True)[1]
    old, new = (Places(part, np.zeros(len(part), np.int64)) for part in (codes[: len(names)], codes[len(names) :]))
    score = neighbour_distances(z, among, new, old, k=how.neighbours)
    some = _spread(len(among), _ASKED)
    usual = neighbour_distances(among[some], among, old.take(some), old, k=how.neighbours)
    return Scored(table.ids, Places(np.arange(len(z)), np.zeros(len(z), np.int64)), score, usual, labels)


def _vectors(table: EmbeddingTable, field: str | None) -> np.ndarray:
    """Embeddings of one field, or of all fields together: (N, D)."""
    if field is None and len(table.z) > 1:
        return table.whole()
    if field is not None and field not in table.z:
        raise UserError(f"the rows have no field '{field}'; they have {', '.join(table.z)}.")
    return table.z[field or next(iter(table.z))]


def _instants(model: Model, folder: Folder, asked: Request, how: Scoring) -> Scored:
    """Scores of instants, and of training instants."""
    name = instants.series_field(model, asked.field)
    whole = instants.at_full_length(model, name)
    with opened(whole, _source(folder, asked.train), asked.outside, asked.logger) as dataset:
        reference, usual = instant_scores(whole, dataset, name, how, asked.logger)
        contents = dataset.content[name]
        if asked.train is None:  # as in training: without the rows that were held out
            kept = dataset.training[reference.row]
            usual, reference = usual[kept], reference.take(kept)
    with opened(whole, asked.data, asked.outside, asked.logger) as dataset:
        instants.note(whole, dataset, name, asked.logger)
        table, score = instant_scores(whole, dataset, name, how, asked.logger)
        content = dataset.content[name]
        stride = model.learner.encoders.encoder(name).stride
        labels = None if asked.labels is None else labels_of(asked.data, asked.labels, dataset, table, stride=stride)
    if how.score == "instants":
        score, usual = by_neighbours(table, content, reference, contents, how)
    return Scored(table.ids, Places(table.row, table.instant), score, usual, labels)


def instant_scores(
    model: Model, dataset: Dataset, field: str, how: Scoring, logger: Logger
) -> tuple[InstantTable, np.ndarray]:
    """Vectors of all instants, and their scores if they are masked (else zeros)."""
    table = instants.embed_instants(model, dataset, field, how.windows, progress=logger.progress)
    if how.score != "masked":
        return table, np.zeros(len(table))
    hidden = instants.embed_instants(model, dataset, field, how.windows, hide=True, progress=logger.progress)
    distance = np.abs(table.z.astype(np.float64) - hidden.z).sum(1)
    distance[~_known(dataset, field)] = np.nan  # a gap cannot be hidden
    return table, against_past(distance, table.row, how.past) if how.past else distance


def _known(dataset: Dataset, field: str) -> np.ndarray:
    """Instants with a value, row after row: (M,) bool."""
    store = dataset.stores[field]
    parts = [np.isfinite(np.asarray(row)).any(1) for row in store.rows(np.flatnonzero(store.has))]
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def against_past(distance: np.ndarray, row: np.ndarray, past: int) -> np.ndarray:
    """Distances relative to the mean of those before them in the row; NaN for the first ones.

    Args:
        distance: (M,), row after row.
        row: (M,) number of the row, rising.
        past: Instants before.

    Returns:
        (M,) d_t / mean(d_{t - past}, ..., d_{t - 1}) - 1; NaN where one of them is unknown.

    Reference:
        Yue et al. 2022, arXiv:2106.10466, section on anomalies; 21 in the authors' code.
    """
    found = np.full(len(distance), np.nan)
    for number in np.unique(row):
        begin, end = np.searchsorted(row, [number, number + 1])
        if end - begin > past:
            own = distance[begin:end]
            mean = np.lib.stride_tricks.sliding_window_view(own, past)[:-1].mean(1)
            found[begin + past : end] = own[past:] / np.where(mean > 0, mean, np.nan) - 1
    return found


def by_neighbours(
    table: InstantTable, content: np.ndarray, reference: InstantTable, contents: np.ndarray, how: Scoring
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of instants to training instants, and of training instants to others far enough in their row."""
    found = np.flatnonzero(np.isfinite(reference.z).all(1))
    found = found[_spread(len(found), _SEARCHED)]
    among = reference.z[found]
    old = Places(contents[reference.row[found]], reference.instant[found])
    lengths = np.bincount(reference.row)
    apart = min(how.padding, int(lengths[lengths > 0].min(initial=0)) // 4)
    new = Places(content[table.row], table.instant)
    score = neighbour_distances(table.z, among, new, old, k=how.neighbours, apart=apart)
    asked = _spread(len(among), _ASKED)
    usual = neighbour_distances(among[asked], among, old.take(asked), old, k=how.neighbours, apart=apart)
    return score, usual


def _spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers below `count`, evenly spread."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def _source(folder: Folder, train: object) -> Any:
    """The training data as given, else where the run read it.

    Raises:
        UserError: It was in memory, or is gone.
    """
    if train is not None:
        return train
    source = folder.experiment().source.data
    if source == "memory" or not opens(source):
        where = "was in memory" if source == "memory" else f"({source}) is not there any more"
        raise UserError(
            f"scores of instants need training series, and what {folder.path} was trained on {where}. Name it: --train "
            "DATA, or train=... in Python."
        )
    return source
