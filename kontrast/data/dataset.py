"""A Dataset: rows ready for training. Cached, split, labelled, their unreadable ones set aside, with a fingerprint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from kontrast.core.errors import UserError
from kontrast.core.experiment import Source
from kontrast.data import fingerprint, split
from kontrast.data.cells import is_list
from kontrast.data.fields import Field
from kontrast.data.frame import Frame
from kontrast.data.modality import Modality
from kontrast.data.packing import Packing, Progress, packing, sample
from kontrast.data.store import Store

Quarantined = tuple[int, str, str, str]


class TooManyUnreadable(UserError):
    """More rows cannot be read than the user accepts; `quarantined` lists all as (row, id, field, reason)."""

    def __init__(self, message: str, quarantined: Sequence[Quarantined]) -> None:
        super().__init__(message)
        self.quarantined = list(quarantined)


@dataclass(frozen=True)
class Dataset:
    """N usable rows, in the order of the source.

    ids: (N,) distinct strings; keys: (N,) int64, their 63-bit hashes. labels: (N,) strings, "" where unknown, None
    where there is no label column. stores: field -> what is cached of it. content: field -> (N,) int64, equal where
    the cached content is, negative and different in rows without the field. metadata: the plain and text columns.
    held_out: (N,) bool, rows kept for judging. quarantined: rows set aside as (row in the source, id, field, reason).
    fingerprint: for data.json. missing: field -> rows without it. duplicates: rows that repeat an earlier one in
    every field. notes: what the user should know, in sentences.
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

    Rows go to the held-out side as the split column says, else by hash of (seed, id), so that added rows move no
    other; rows with equal content in a field go to one side. The few fitted ones that this moves across told `fit`
    only of sizes, words and scale.
    """
    if not modalities:
        raise UserError(_no_view(frame, fields))
    notes: list[str] = []
    ids = _ids(frame, fields, notes)
    keys = fingerprint.numbers(ids)
    said = _said(frame, fields)
    held_out = split.drawn(keys, source.held_out, seed) if said is None else said
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
    held_out = _sides(held_out[kept], keys[kept], packed, said is not None, notes)
    if fit:
        _trainable(frame, fields, packed, held_out)
    labels = _labels(frame, fields, kept, notes)
    kinds = {name: fields[name].kind for name in modalities}
    return Dataset(
        name=frame.name,
        ids=ids[kept],
        keys=keys[kept],
        labels=labels,
        stores=packed.stores,
        content=packed.content,
        metadata=_metadata(frame, fields, kept),
        held_out=held_out,
        quarantined=quarantined,
        fingerprint=fingerprint.of_dataset(ids[kept], labels, held_out, packed.content, kinds),
        missing={name: int((~store.has).sum()) for name, store in packed.stores.items()},
        duplicates=_duplicates(packed.content),
        notes=tuple(notes),
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
    column = next((name for name, field in fields.items() if field.kind == "id"), None)
    numbers = [str(row) for row in range(len(frame))]
    if column is None:
        for name, field in fields.items():
            values = frame.columns[name]
            if field.kind == "image" and not isinstance(values, np.ndarray) and types.is_string(values.type):
                paths = values.to_pylist()
                if all(paths) and len(set(paths)) == len(paths):
                    return np.array(paths, dtype=str)
        return np.array(numbers, dtype=str)
    cells = frame.cells(column, range(len(frame)))
    ids = [number if cell is None or cell == "" else str(cell) for cell, number in zip(cells, numbers, strict=True)]
    taken, repeated = set(ids), 0
    first: set[str] = set()
    for row, name in enumerate(ids):
        if name in first:
            repeated, turn = repeated + 1, 2
            while f"{name}#{turn}" in taken:
                turn += 1
            ids[row] = f"{name}#{turn}"
            taken.add(ids[row])
        first.add(ids[row])
    if repeated:
        notes.append(f"{repeated} rows repeat an id of column '{column}'; they are told apart as NAME#2, NAME#3.")
    return np.array(ids, dtype=str)


def _said(frame: Frame, fields: Mapping[str, Field]) -> np.ndarray | None:
    column = next((name for name, field in fields.items() if field.kind == "split"), None)
    return (
        None
        if column is None
        else split.given(frame.cells(column, range(len(frame))), f"{frame.name}, column '{column}'")
    )


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
    labels = np.array([_label(cell) for cell in frame.cells(column, kept)], dtype=str)
    classes = sorted(set(labels.tolist()) - {""})
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


def _metadata(frame: Frame, fields: Mapping[str, Field], kept: np.ndarray) -> pa.Table:
    """Plain and text columns of the usable rows; the first of several texts. Columns stay memory-mapped where no row
    was set aside.
    """
    columns: dict[str, Any] = {}
    for name, field in fields.items():
        column = frame.columns[name]
        if field.kind not in ("meta", "text") or isinstance(column, np.ndarray):
            continue
        if is_list(column.type):
            columns[name] = pa.array([str(cell[0]) if cell else None for cell in frame.cells(name, kept)], pa.string())
            continue
        if len(kept) < len(frame):  # filtered, not taken: that would join all chunks in memory
            mask = np.zeros(len(frame), bool)
            mask[kept] = True
            column = column.filter(pa.array(mask))
        columns[name] = column
    return pa.table(columns)


def _duplicates(content: Mapping[str, np.ndarray]) -> int:
    rows = np.stack([np.where(codes < 0, -1, codes) for codes in content.values()], axis=1)
    return len(rows) - len(np.unique(rows, axis=0))
