"""One vector per instant of series: from whole rows, or from windows that slide over them.

Axis letters: N rows, M instants of all rows, B windows at once, C channels, T instants of a window, E dense width.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.instant_table import InstantTable
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.store import Store
from kontrast.encoders.encoder import Encoder
from kontrast.modalities.series.series import Series
from kontrast.reporting.logger import Logger
from kontrast.runs.model import Model, Progress

Window = Literal["whole", "sliding", "causal"]
LENGTH, PADDING, AT_ONCE = 1, 200, 65_536


@dataclass(frozen=True)
class Windows:
    """What the encoder sees when it embeds an instant.

    Attributes:
        kind: "whole": the row. "sliding": `length` instants and `padding` more on either side. "causal": the instant
            and the `padding` before it, so that its vector does not depend on what follows.
        length: Instants that a sliding window embeds at a time.
        padding: Instants of context; 200 as in the forecasts of TS2Vec's authors.

    Raises:
        UserError: A value outside its range.
    """

    kind: Window = "whole"
    length: int = LENGTH
    padding: int = PADDING

    def __post_init__(self) -> None:
        if self.kind not in get_args(Window):
            raise UserError(f"instants: window={self.kind!r}; expected one of {', '.join(get_args(Window))}.")
        for name, value, least in (("length", self.length, 1), ("padding", self.padding, 0)):
            if value < least:
                raise UserError(f"instants: {name}={value}; expected {least} or more.")
        if self.kind == "causal" and self.length > 1:
            raise UserError(
                f"instants: a causal window embeds its last instant alone; found length={self.length}. Leave it out, "
                "or take a sliding window."
            )

    @property
    def width(self) -> int:
        """Instants of a window that slides."""
        return self.padding + self.length + (self.padding if self.kind == "sliding" else 0)


def series_field(model: Model, field: str | None) -> str:
    """The series field to embed; the only one if none is named.

    Raises:
        UserError: The run has no such field of series, or several and none is named.
    """
    there = [name for name, modality in model.modalities.items() if isinstance(modality, Series)]
    if field is not None and field not in there:
        raise UserError(f"this run has no field of series '{field}'{did_you_mean(field, there)}")
    if field is None and len(there) != 1:
        found = f"several ({', '.join(there)}); name one" if there else f"none, but {', '.join(model.fields)}"
        raise UserError(f"instants are those of a field of series; this run has {found}.")
    return field or there[0]


def at_full_length(model: Model, field: str) -> Model:
    """The model with one field, whose rows are not averaged down to `length`."""
    modality = copy.copy(model.modalities[field])
    assert isinstance(modality, Series)
    modality.length = None
    return replace(model, modalities={field: modality})


def note(model: Model, data: Dataset, field: str, logger: Logger) -> None:
    """Says what a reader of the vectors should know: merged instants, and rows longer than training kept."""
    stride, kept = model.learner.encoders.encoder(field).stride, model.modalities[field].facts()["length"]
    store = data.stores[field]
    longest = int(store.lengths(np.flatnonzero(store.has)).max(initial=0))
    if stride > 1:
        logger.fact("note", f"one vector per {stride} instants: the encoder of '{field}' merges them")
    if kept is not None and longest > kept:
        words = f"rows of up to {longest:,} instants are embedded as they are; training kept {kept:,} of a row"
        logger.fact("note", words)


def embed_instants(
    model: Model,
    data: Dataset,
    field: str,
    windows: Windows,
    *,
    hide: bool = False,
    batch: int = AT_ONCE,
    progress: Progress | None = None,
) -> InstantTable:
    """Embeds each instant of the series of a dataset.

    An instant in a gap at the end of its window has the vector of the last known instant there.

    Args:
        model: A model of which `at_full_length` prepared the field.
        data: The rows, read by that model.
        field: The field.
        windows: What the encoder sees.
        hide: Whether the last instant of each window is hidden from the encoder; for windows that slide.
        batch: Instants encoded at a time, at least one window; changes speed and memory only.
        progress: Called with what is done, windows done and windows in total.

    Raises:
        UserError: The encoder gives no dense features, merges instants and windows slide, or cannot hide the last one.
    """
    encoder, modality = model.learner.encoders.encoder(field), model.modalities[field]
    model.learner.eval()
    encoder.gives_dense = True
    if encoder.dense_width is None:
        raise UserError(f"the encoder of '{field}' gives one vector per row only; train with dilated_cnn or tcn.")
    stride = encoder.stride
    if stride > 1 and windows.kind != "whole":
        raise UserError(
            f"the encoder of '{field}' gives one vector per {stride} instants, so a window cannot slide by one; train "
            "with one that merges none (--encoder series=dilated_cnn, or series=tcn,stride=1), or embed whole rows."
        )
    store = data.stores[field]
    there = np.flatnonzero(store.has)
    lengths = np.zeros(len(data.ids), np.int64)
    lengths[there] = store.lengths(there)
    counts = -(-lengths // stride)
    first = np.concatenate([[0], counts.cumsum()])
    z = np.full((first[-1], encoder.dense_width), np.nan, np.float32)
    parts = list(_whole(lengths, batch) if windows.kind == "whole" else _sliding(lengths, windows, batch))
    total, done = sum(len(rows) for rows, _ in parts), 0
    for rows, begins in parts:
        if windows.kind == "whole":
            kept = counts[rows]
            x = modality.collate(store.rows(rows))
        else:
            kept = np.minimum(windows.length, lengths[rows] - begins)
            x = _cut(rows, begins, windows, _packed(store, np.unique(rows)))
        seen = modality.preprocess(x)
        if hide:
            seen = seen.clone()  # it may be x itself, in which the instant is known
            seen[..., -1] = math.nan
        dense = _encoded(encoder, seen, hide=hide)
        places = (0 if windows.kind == "whole" else windows.padding) + np.arange(int(kept.max()))
        found = _at(dense, x, places, stride)
        for row, begin, some, vectors in zip(rows, begins, kept, found, strict=True):
            z[first[row] + begin : first[row] + begin + some] = vectors[:some]
        done += len(rows)
        if progress:
            progress(f"embedding {field}", done, total)
    row = np.repeat(np.arange(len(counts)), counts)
    return InstantTable(field, data.ids, row, (np.arange(len(row)) - first[row]) * stride, z)


def _whole(lengths: np.ndarray, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of similar length and where their windows begin; long ones first, so a lack of memory shows at once."""
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    while len(order):
        rows = order[: max(1, batch // int(lengths[order[0]]))]
        yield rows, np.zeros(len(rows), np.int64)
        order = order[len(rows) :]


def _sliding(lengths: np.ndarray, windows: Windows, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of windows and the first instant that each embeds."""
    counts = -(-lengths // windows.length)
    rows = np.repeat(np.arange(len(lengths)), counts)
    begins = (np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)) * windows.length
    step = max(1, batch // windows.width)
    for start in range(0, len(rows), step):
        yield rows[start : start + step], begins[start : start + step]


def _packed(store: Store, rows: np.ndarray) -> dict[int, np.ndarray]:
    return {row: np.asarray(series) for row, series in zip(rows.tolist(), store.rows(rows), strict=True)}


def _cut(rows: np.ndarray, begins: np.ndarray, windows: Windows, series: Mapping[int, np.ndarray]) -> Tensor:
    """Windows of packed rows (n, C), NaN beyond either end: (B, C, T)."""
    parts = []
    for row in np.unique(rows):  # rising, as `rows` are
        whole = series[row]
        at = begins[rows == row, None] - windows.padding + np.arange(windows.width)
        inside = (at >= 0) & (at < len(whole))
        parts.append(np.where(inside[..., None], whole[at.clip(0, len(whole) - 1)], np.nan))
    return torch.from_numpy(np.concatenate(parts).swapaxes(1, 2).astype(np.float32))


@torch.no_grad()
def _encoded(encoder: Encoder, x: Tensor, *, hide: bool) -> Tensor:
    """Dense features of preprocessed series, on the CPU: (B, S, E)."""
    x = x.to(next(encoder.parameters()).device)
    features = encoder.until(x, x.new_full((len(x),), x.shape[-1])) if hide else encoder(x)
    if features is None:
        raise UserError(
            "this encoder takes a hidden last instant for the end of the row (it has no `until`); train with "
            "dilated_cnn or tcn, or score instants by their neighbours."
        )
    dense = features.dense
    expected = -(-x.shape[-1] // encoder.stride)
    if dense is None or dense.shape[1] != expected:
        found = "none" if dense is None else f"{dense.shape[1]}"
        raise UserError(
            f"the encoder gave {found} vectors for {x.shape[-1]} instants; expected {expected}, by its stride of "
            f"{encoder.stride}. Correct its `stride`, or train with dilated_cnn."
        )
    return dense.float().cpu()


def _at(dense: Tensor, x: Tensor, places: np.ndarray, stride: int) -> np.ndarray:
    """Vectors at places of windows, or at the last known instant before them; NaN where none is: (B, places, E)."""
    known = x.isfinite().any(1)
    ends = (known * torch.arange(1, x.shape[-1] + 1)).amax(1)
    last = torch.div(ends - 1, stride, rounding_mode="floor").clamp_min(0)
    at = torch.minimum(torch.from_numpy(places)[None], last[:, None])
    found = dense.gather(1, at[..., None].expand(-1, -1, dense.shape[2]))
    return found.masked_fill((ends == 0)[:, None, None], math.nan).numpy()
