"""Imputation check of a run: what its vectors of hidden instants know of the hidden values.

Axis letters: N rows, T instants of a row, M hidden instants of all rows, C channels.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kontrast.core.errors import UserError
from kontrast.evaluation.imputation import (
    CHOOSE,
    FIT,
    TEST,
    ImputationErrors,
    errors_of,
    hidden_instants,
    interpolated,
    regression_errors,
)
from kontrast.reporting.logger import NullLogger
from kontrast.runs import instants
from kontrast.runs.build import learner_of
from kontrast.runs.instants import PADDING, Window, Windows
from kontrast.runs.model import Model
from kontrast.runs.opened import opened

if TYPE_CHECKING:
    from kontrast.runs.run import Run

SHARE, SPAN = 0.2, 8
_SHARES = (0.6, 0.8)  # where the parts to fit and to choose end
_ROWS = 10  # fewer rows are divided by time


def check_imputation(
    run: "Run",
    data: object,
    *,
    share: float = SHARE,
    span: int = SPAN,
    window: Window = "whole",
    length: int = instants.LENGTH,
    padding: int = PADDING,
    field: str | None = None,
    seed: int = 0,
    outside: bool = False,
) -> dict[str, ImputationErrors]:
    """Hides instants of series and imputes them by ridge regression from their vectors.

    Take it to ask whether the vector of an instant holds what its surroundings say of it. A straight line between the
    neighbours is hard to beat on smooth series with short gaps, and needs no training.

    Rows are divided into 60 % to fit the regression, 20 % to choose its penalty and 20 % to test; fewer than 10 rows
    are divided by time instead, each in this order. Errors are in standard deviations of the values that are fitted.

    Args:
        run: The run; its encoder gives a vector per instant.
        data: The rows: a path or an object in memory, as for `kontrast.train`.
        share: Share of the instants that is hidden, above 0 and below 1. Default 0.2.
        span: Instants hidden together, at least 1. Default 8.
        window: What the encoder sees of an instant, as for `Run.embed_instants`.
        length: Instants that a sliding window embeds at a time.
        padding: Instants of context of a window that slides. Default 200.
        field: The field of series. Default: the only one of the run.
        seed: Of what is hidden, and of the division of rows. Default 0.
        outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.

    Returns:
        "learned", "untrained", "interpolation" and "mean": errors on the same hidden instants.

    Raises:
        UserError: An argument out of range, an encoder that merges instants, or too few instants.

    Reference:
        The instants hidden in training: Yue et al. 2022, arXiv:2106.10466.
    """
    if not 0 < share < 1 or span < 1:
        raise UserError(
            f"imputation: share={share}, span={span}; expected a share between 0 and 1, a span of 1 or more."
        )
    windows = Windows(window, length, padding)
    model = Model.load(run.folder)
    name = instants.series_field(model, field)
    whole, rng = instants.at_full_length(model, name), np.random.default_rng(seed)
    if model.learner.encoders.encoder(name).stride > 1:
        raise UserError("imputation needs a vector per instant; train with --encoder series=dilated_cnn.")
    with opened(whole, data, outside, NullLogger()) as dataset:
        store = dataset.stores[name]
        rows = [np.asarray(row, np.float64) for row in store.rows(np.flatnonzero(store.has))]
    hidden = [hidden_instants(row, share, span, rng) for row in rows]
    part = _parts([len(row) for row in rows], rng)
    at = np.concatenate(hidden)
    values, part = np.concatenate(rows)[at], np.concatenate(part)[at]
    lines = np.concatenate([interpolated(row, gone) for row, gone in zip(rows, hidden, strict=True)])
    untrained = replace(whole, learner=learner_of(model.experiment, model.modalities, model.facts))
    shown = [np.where(gone[:, None], np.nan, row) for row, gone in zip(rows, hidden, strict=True)]
    z = {
        which: _vectors(one, name, shown, windows)[at] for which, one in (("learned", whole), ("untrained", untrained))
    }
    seen = np.isfinite(z["learned"]).all(1)  # a causal window may hold hidden instants alone
    values, lines, part = values[seen], lines[seen], part[seen]
    fitted = values[part == FIT]
    if not len(fitted):
        raise UserError("imputation: no hidden instant to fit with; hide a larger share, or name more rows.")
    scale = np.where(fitted.std(0) > 0, fitted.std(0), 1)
    values, lines = ((x - fitted.mean(0)) / scale for x in (values, lines))
    found = {which: regression_errors(vectors[seen], values, part) for which, vectors in z.items()}
    test = part == TEST
    found["interpolation"] = errors_of(np.nan_to_num(lines[test]), values[test])
    found["mean"] = errors_of(np.zeros_like(values[test]), values[test])
    return found


def _parts(lengths: Sequence[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Part of each instant of each row: by rows if there are enough, else by time."""
    if len(lengths) >= _ROWS:
        place = rng.permutation(len(lengths)) / len(lengths)
        return [np.full(length, _part(one)) for length, one in zip(lengths, place, strict=True)]
    return [np.vectorize(_part, otypes=[int])(np.arange(length) / length) for length in lengths]


def _part(place: float) -> int:
    return FIT if place < _SHARES[0] else CHOOSE if place < _SHARES[1] else TEST


def _vectors(model: Model, field: str, rows: list[np.ndarray], windows: Windows) -> np.ndarray:
    """Vectors of all instants, row after row."""
    time_first = model.modalities[field].state()["axis"] == 1
    cells = {field: [row if time_first else row.T for row in rows]}
    with opened(model, cells, False, NullLogger()) as dataset:
        return instants.embed_instants(model, dataset, field, windows).z
