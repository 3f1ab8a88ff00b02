"""A Dataset: rows ready for training. Cached, split, labelled, their unreadable ones set aside, with a fingerprint."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from kontrast.core.errors import UserError
from kontrast.core.experiment import Source
from kontrast.data import fingerprint, spill, split
from kontrast.data.cells import coded, is_list, is_number
from kontrast.data.fields import Field
from kontrast.data.frame import ANYWHERE, Frame
from kontrast.data.modality import Modality
from kontrast.data.packing import Packing, Progress, packing, sample
from kontrast.data.store import Store

_SOME = 65_536  # rows whose cells are Python values at one time
_TOLD = ("meta", "text", "group", "time")  # the kinds of column that travel with the embeddings

Quarantined = tuple[int, str, str, str]


class TooManyUnreadable(UserError):
    """More rows cannot be read than the user accepts; `quarantined` lists all as (row, id, field, reason)."""

    def __init__(self, message: str, quarantined: Sequence[Quarantined]) -> None:
        super().__init__(message)
        self.quarantined = list(quarantined)


@dataclass(frozen=True)
class Dataset:
    """N usable rows, in the order of the source.

    ids: (N,) distinct strings; keys: (N,) int64, their 63-bit hashes. weights: (N,) float32, how often a row is drawn
    beside others, None where all are drawn alike. labels: (N,) strings, "" where unknown, None
    where there is no label column. stores: field -> what is cached of it. content: field -> (N,) int64, equal where
    the cached content is, negative and different in rows without the field. metadata: the plain and text columns.
    held_out: (N,) bool, rows kept for judging. quarantined: rows set aside as (row in the source, id, field, reason).
    fingerprint: for data.json. missing: field -> rows without it. duplicates: rows that repeat an earlier one in
    every field. divided: what decided on the side of a row, in words. notes: what the user should know, in sentences.
    """

    name: str
    ids: np.ndarray
    keys: np.ndarray
    labels: np.ndarray | None
    stores: Mapping[str, Store]
    content: Mapping[str, np.ndarray]
    metadata: pa.Table
    held_out: np.ndarray
    quarantined: list[Quarantined]
    fingerprint: dict[str, Any]
    missing: Mapping[str, int]
    duplicates: int
    notes: tuple[str, ...] = ()
    weights: np.ndarray | None = None
    divided: str = ""

    def __len__(self) -> int:
        return len(self.ids)


def prepare(
    frame: Frame,
    fields: Mapping[str, Field],
    modalities: Mapping[str, Modality],
    *,
    source: Source,
    seed: int,
    cache: Path,
    fit: bool,
    progress: Progress | None = None,
    limit: int | None = None,
) -> Dataset:
    """Split, fit, read and cache all rows.

    modalities: field -> modality, for every field that is to be seen; fitted here to a sample of the training rows
    where `fit`, else restored before. progress: called with (rows done, rows in all). limit: most bytes of the cache,
    None for half of the free disk.

    Rows go to the held-out side as the split column says; the latest, where a column is the time; else by hash of
    (seed, group), where a column is the group, or (seed, id), so that added rows move no other (nor added groups,
    unless they are so few that the hash alone would miss the share). Rows with equal content
    in a field go to one side. The few fitted ones that this moves across told `fit`
    only of sizes, words and scale.
    """
    if not modalities:
        raise UserError(_no_view(frame, fields))
    frame = replace(frame, within=ANYWHERE) if source.outside else frame
    notes = list(frame.notes)
    ids = _ids(frame, fields, notes)
    keys = fingerprint.numbers(ids)
    held_out, units, said = _divided(frame, fields, keys, source.held_out, seed)
    if fit:
        training = np.flatnonzero(~held_out)
        training = training[np.argsort(keys[training])]  # spread by hash
        rows = training if len(training) else np.arange(len(frame))
        for modality in {id(m): m for m in modalities.values()}.values():  # fields may share one, fitted to all of them
            names = [name for name, m in modalities.items() if m is modality]
            modality.fit([item for name in names for item in sample(frame, name, modality, rows)])
    packed = packing(frame, modalities, cache, limit=limit, progress=progress)
    quarantined = [(row, str(ids[row]), field, reason) for row, field, reason in packed.aside]
    _accept(frame, quarantined, source.quarantine)
    kept = packed.kept
    if len(kept) < len(frame):  # else nothing is copied
        held_out, units, keys, ids = held_out[kept], units[kept], keys[kept], ids[kept]
    held_out = _sides(held_out, units, packed, said, notes)
    if fit:
        _trainable(frame, fields, packed, held_out)
    labels = _labels(frame, fields, kept, notes)
    kinds = {name: fields[name].kind for name in modalities}
    return Dataset(
        name=frame.name,
        ids=ids,
        keys=keys,
        labels=labels,
        stores=packed.stores,
        content=packed.content,
        metadata=_metadata(frame, fields, kept, cache),
        held_out=held_out,
        quarantined=quarantined,
        fingerprint=fingerprint.of_dataset(ids, labels, held_out, packed.content, kinds),
        missing={name: int((~store.has).sum()) for name, store in packed.stores.items()},
        duplicates=_duplicates(packed.content),
        notes=tuple(notes),
        weights=_weights(frame, fields, kept) if fit else None,
        divided=_divider(fields, units, held_out, said),
    )


def _no_view(frame: Frame, fields: Mapping[str, Field]) -> str:
    columns = "; ".join(f"{name}: {field.kind} ({field.why})" for name, field in list(fields.items())[:8])
    columns += f" and {len(fields) - 8} more columns" if len(fields) > 8 else ""
    return (
        f"{frame.name} has no column to learn from; expected images, texts or series. Found {columns}. "
        "Say what a column is: --field NAME=image (or text, or series)."
    )


def _ids(frame: Frame, fields: Mapping[str, Field], notes: list[str]) -> np.ndarray:
    """(N,) distinct strings: the id column, else the paths of pictures where all differ, else row numbers."""
    rows = len(frame)
    numbers = np.arange(rows).astype(f"U{len(str(rows))}")
    column = _of_kind(fields, "id")
    if column is None:
        for name, field in fields.items():
            values = frame.columns[name]
            if field.kind == "image" and not isinstance(values, np.ndarray) and types.is_string(values.type):
                paths = _strings(frame, name)
                if (paths != "").all() and len(np.unique(fingerprint.numbers(paths))) == rows:
                    return paths
        return numbers
    ids = _strings(frame, column)
    ids = np.where(ids == "", numbers, ids)
    codes = fingerprint.numbers(ids)
    repeated = np.ones(rows, bool)
    repeated[np.unique(codes, return_index=True)[1]] = False
    if not repeated.any():
        return ids
    taken, told = set(codes.tolist()), ids.tolist()
    for row in np.flatnonzero(repeated):
        name, turn = told[row], 2
        while fingerprint.number(f"{name}#{turn}".encode("utf8", "surrogatepass")) in taken:
            turn += 1
        told[row] = f"{name}#{turn}"
        taken.add(fingerprint.number(told[row].encode("utf8", "surrogatepass")))
    notes.append(f"{repeated.sum()} rows repeat an id of column '{column}'; they are told apart as NAME#2, NAME#3.")
    return np.array(told, dtype=str)


def _strings(frame: Frame, column: str) -> np.ndarray:
    """(N,) the cells of a column as strings, "" where there is none; some at a time, for Python's strings are large."""
    parts = [
        np.array(["" if cell is None else str(cell) for cell in frame.cells(column, np.arange(start, stop))], dtype=str)
        for start, stop in _pieces(len(frame))
    ]
    return np.concatenate(parts)


def _pieces(rows: int) -> list[tuple[int, int]]:
    return [(start, min(start + _SOME, rows)) for start in range(0, rows, _SOME)]


def _of_kind(fields: Mapping[str, Field], kind: str) -> str | None:
    return next((name for name, field in fields.items() if field.kind == kind), None)


def _divided(
    frame: Frame, fields: Mapping[str, Field], keys: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """(which rows are held out, what decides which of several twins leads, whether the data itself says the split).

    Rows with one leading number are one group. Of twins in time the earliest leads, so that none of the past is
    learnt from the future.
    """
    if group := _of_kind(fields, "group"):
        values, codes = coded(frame.columns[group])
        known = np.array([fingerprint.number(f"group {value}".encode("utf8", "surrogatepass")) for value in values])
        units = np.where([_label(value) != "" for value in values], known, -1)[codes]
        units = np.where(units < 0, keys, units)
        return split.grouped(units, share, seed), units, False
    if time := _of_kind(fields, "time"):
        times = split.times(frame.columns[time], f"{frame.name}, column '{time}'")
        return split.latest(times, share), np.argsort(np.argsort(times, kind="stable")), False
    if column := _of_kind(fields, "split"):
        said = split.given(*coded(frame.columns[column]), f"{frame.name}, column '{column}'")
        if said is not None:
            return said, keys, True
    return split.drawn(keys, share, seed), keys, False


def _divider(fields: Mapping[str, Field], units: np.ndarray, held_out: np.ndarray, said: bool) -> str:
    """What decided on the side of the rows, in words: `2 of 10 groups of 'subject'`."""
    if group := _of_kind(fields, "group"):
        groups, kept = len(np.unique(units)), len(np.unique(units[held_out]))
        return f"{kept:,} of {groups:,} groups of '{group}', each whole"
    if time := _of_kind(fields, "time"):
        return f"the latest by '{time}'"
    return f"as column '{_of_kind(fields, 'split')}' says" if said else ""


def _weights(frame: Frame, fields: Mapping[str, Field], kept: np.ndarray) -> np.ndarray | None:
    column = _of_kind(fields, "weight")
    if column is None:
        return None
    values = frame.columns[column]
    if isinstance(values, np.ndarray) or not is_number(values.type):
        raise UserError(f"{frame.name}, column '{column}': expected a number a row, how often it is to be drawn.")
    weights = values.cast(pa.float32()).fill_null(float("nan")).to_numpy()[kept]
    wrong = np.flatnonzero(~((weights > 0) & (weights < np.inf)))
    if len(wrong):
        found = frame.cells(column, [int(kept[wrong[0]])])[0]
        raise UserError(
            f"{frame.name}, column '{column}', row {kept[wrong[0]]}: the weight is {found}; expected a number above 0."
        )
    return weights


def _accept(frame: Frame, quarantined: Sequence[Quarantined], share: float) -> None:
    if len(quarantined) <= share * len(frame):
        return
    first = "; ".join(
        f"row {row} ('{name}')" + (f", {field}" if field else "") + f": {reason.rstrip('.')}"
        for row, name, field, reason in quarantined[:3]
    )
    enough = -(-100 * len(quarantined) // len(frame)) / 100
    raise TooManyUnreadable(
        f"{frame.name}: {len(quarantined)} of {len(frame)} rows cannot be used, more than the accepted share of "
        f"{share:.3g} ({int(share * len(frame))} rows). The first: {first}. "
        f"Mend them, or set them aside with --quarantine {enough:g}.",
        quarantined,
    )


def _sides(held_out: np.ndarray, keys: np.ndarray, packed: Packing, said: bool, notes: list[str]) -> np.ndarray:
    """The split of the usable rows, twins on one side where it is ours to decide."""
    if not said:
        held_out = split.together(held_out, keys, packed.content)
    if not said and len(held_out) >= 2 > (~held_out).sum():
        notes.append("so few rows that all are trained on; none are held out.")
        return np.zeros_like(held_out)
    twins = split.twins(held_out, packed.content)
    if twins:
        why = "the split is the data's own" if said else "too many rows share it to keep them on one side"
        notes.append(f"{twins} held-out rows have the same content as a training row in some field; {why}.")
    return held_out


def _trainable(frame: Frame, fields: Mapping[str, Field], packed: Packing, held_out: np.ndarray) -> None:
    training = int((~held_out).sum())
    if training < 2:
        found = {0: "no row", 1: "one row"}[training]
        raise UserError(f"{frame.name} has {found} to train on; contrast needs at least two, and learns from hundreds.")
    for name in packed.stores:
        if fields[name].kind == "series" and name in packed.flat:
            raise UserError(
                f"{frame.name}, field '{name}': no series changes over time, so there is nothing to learn from. "
                "Check that time is where it is expected: one row a series, not one row an instant."
            )


def _labels(frame: Frame, fields: Mapping[str, Field], kept: np.ndarray, notes: list[str]) -> np.ndarray | None:
    column = next((name for name, field in fields.items() if field.kind == "label"), None)
    if column is None:
        return None
    values, codes = coded(frame.columns[column])
    labels = np.array([_label(value) for value in values], dtype=str)[codes[kept]]
    classes = sorted(set(np.unique(labels).tolist()) - {""})
    if len(classes) < 2:
        found = f"only '{classes[0]}'" if classes else "nothing"
        notes.append(
            f"the label column '{column}' holds {found}: fine for training, but no score can tell classes apart."
        )
    return labels


def _label(cell: Any) -> str:
    """3.0 is the class 3; None and NaN are unknown."""
    if isinstance(cell, np.ndarray | list | dict):
        raise UserError(f"the label column holds lists or records ({str(cell)[:60]}); expected one class a row.")
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _metadata(frame: Frame, fields: Mapping[str, Field], kept: np.ndarray, cache: Path) -> pa.Table:
    """Plain and text columns of the usable rows; the first of several texts. Columns stay memory-mapped; where rows
    were set aside, in a table of their own.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    for name, field in fields.items():
        column = frame.columns[name]
        if field.kind in _TOLD and not isinstance(column, np.ndarray):
            columns[name] = column
    table = pa.table(columns)
    if len(kept) == len(frame) and not any(is_list(column.type) for column in columns.values()):
        return table
    schema = pa.schema({f.name: pa.string() if is_list(f.type) else f.type for f in table.schema})

    def batches() -> Iterator[pa.RecordBatch]:
        for start, stop in _pieces(len(frame)):
            part = table.slice(start, stop - start)
            mask = np.zeros(stop - start, bool)
            mask[kept[np.searchsorted(kept, start) : np.searchsorted(kept, stop)] - start] = True
            part = part.filter(pa.array(mask))
            arrays = [_first(part[f.name]) if is_list(f.type) else part[f.name] for f in table.schema]
            yield from pa.table(arrays, schema=schema).combine_chunks().to_batches()

    return spill.fetched(f"metadata {fingerprint.text(kept.tobytes())} {schema}", cache, lambda: (schema, batches()))


def _first(lists: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([str(cell[0]) if cell else None for cell in lists.to_pylist()], pa.string())])


def _duplicates(content: Mapping[str, np.ndarray]) -> int:
    rows = fingerprint.rows(content)
    return len(rows) - len(np.unique(rows))
