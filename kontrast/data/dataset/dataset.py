"""The `Dataset`: rows ready for training, with `prepare`, which makes it from a frame.

Rows are cached, split and labelled; unreadable ones are quarantined.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core import registry
from kontrast.core.errors import UserError
from kontrast.core.experiment import Source
from kontrast.data.dataset.packing import Packing, Progress, packing, sample
from kontrast.data.dataset.split_assignment import Sides, divider, keep_duplicates_together, of_kind, sides
from kontrast.data.dataset.store import Store
from kontrast.data.modality import Modality
from kontrast.data.schema import fingerprint, split
from kontrast.data.schema.fields import Field
from kontrast.data.schema.target import Target, class_name, marks, numbers, targets
from kontrast.data.tables import arrow_cache
from kontrast.data.tables.column_reader import coded, is_list, is_number, without_nan
from kontrast.data.tables.frame import ANYWHERE, Frame, chunks

# kinds of column that are stored with the embeddings
_STORED = ("meta", "text", "group", "time", "number", "score", "sensitive")

Quarantined = tuple[int, str, str, str]


class TooManyUnreadable(UserError):
    """Raised if more rows are unreadable than the user accepts.

    Attributes:
        quarantined: All unreadable rows as (row, id, field, reason).
    """

    def __init__(self, message: str, quarantined: Sequence[Quarantined]) -> None:
        super().__init__(message)
        self.quarantined = list(quarantined)


@dataclass(frozen=True)
class Dataset:
    """N usable rows, in the order of the source.

    Attributes:
        name: Name of the source, for messages.
        ids: (N,) distinct strings.
        keys: (N,) int64, 63-bit hashes of the ids.
        labels: (N,) strings, "" where unknown; None if there is no label column. Of all rows, for evaluation.
        stores: Field -> its cached rows.
        content: Field -> (N,) int64 hashes of the cached content; negative and distinct in rows without the field.
        metadata: Plain and text columns.
        held_out: (N,) bool, rows kept for evaluation.
        validation: (N,) bool, rows kept to monitor a run and to choose by. Neither these nor the held-out rows train.
        quarantined: Unusable rows as (row in the source, id, field, reason).
        fingerprint: Content of data.json.
        missing: Field -> number of rows without it.
        duplicates: Number of rows that repeat an earlier row in every field.
        notes: What the user should know, in sentences.
        weights: (N,) float32, relative frequency with which rows are drawn; None if it is equal.
        divided: What decided the side of the rows, in words.
        golds: (N,) float64, gold similarity of a row's two fields, NaN where unknown; None without such a column. Of
            all rows, for evaluation.
        targets: Key name ("label", "number", "label COLUMN") -> target; masked in all rows that do not train.
    """

    name: str
    ids: np.ndarray
    keys: np.ndarray
    labels: np.ndarray | None
    stores: Mapping[str, Store]
    content: Mapping[str, np.ndarray]
    metadata: pa.Table
    held_out: np.ndarray
    validation: np.ndarray
    quarantined: list[Quarantined]
    fingerprint: dict[str, Any]
    missing: Mapping[str, int]
    duplicates: int
    notes: tuple[str, ...] = ()
    weights: np.ndarray | None = None
    divided: str = ""
    golds: np.ndarray | None = None
    targets: Mapping[str, Target] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def training(self) -> np.ndarray:
        """Rows that are neither held out nor for validation: (N,) bool."""
        return ~(self.held_out | self.validation)

    def source_rows(self, total: int) -> np.ndarray:
        """Number in the source of each row: (N,) int64.

        Args:
            total: Number of rows of the source.
        """
        usable = np.ones(total, bool)
        usable[[row for row, *_ in self.quarantined]] = False
        return np.flatnonzero(usable)


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
    again: bool = True,
) -> Dataset:
    """Splits, fits, reads and caches all rows.

    The side of every row is fixed before anything is fitted (`split_assignment`). Rows with equal content in a field go
    to one side, which is known only after they are packed. If this removes rows from training that `fit` used, the
    modalities are fitted once more without them.

    Args:
        frame: All rows of the source.
        fields: Column -> field.
        modalities: Field -> modality, for every field that is used.
        source: Settings of split, quarantine and allowed files.
        seed: Seed of the split.
        cache: Folder of the cache.
        fit: Whether to fit the modalities to a sample of the training rows; False if they are restored already.
        progress: Called with (rows done, all rows). Default: none.
        limit: Largest size of the cache in bytes. None takes half of the free disk space. Default: None.
        again: Whether to fit a second time as above; False for runs begun by versions that did not. Default: True.

    Raises:
        UserError: No column to learn from, too few rows, or invalid weights, labels or targets.
        TooManyUnreadable: More rows are unreadable than `source.quarantine` accepts.
    """
    if not modalities:
        raise UserError(_no_view(frame, fields))
    frame = replace(frame, within=ANYWHERE) if source.outside else frame
    notes = list(frame.notes)
    found = sides(frame, fields, source, seed, notes)

    def pack() -> Packing:
        packed = packing(frame, modalities, cache, limit=limit, progress=progress)
        _accept(frame, _quarantined(packed, found), source.quarantine)
        return packed

    packed, rows = _packed(frame, modalities, found, pack, source.validation, notes, fit=fit, again=again)
    kept = packed.kept
    if fit:
        _trainable(frame, modalities, packed, rows.training)
    labels = _labels(frame, fields, kept, notes)
    kinds = {name: fields[name].kind for name in modalities}
    learned = targets(frame, fields, kept, rows.training, rows.keys) if fit else {}
    return Dataset(
        name=frame.name,
        ids=rows.ids,
        keys=rows.keys,
        labels=labels,
        stores=packed.stores,
        content=packed.content,
        metadata=_metadata(frame, fields, kept, cache),
        held_out=rows.side == split.HELD_OUT,
        validation=rows.side == split.VALIDATION,
        quarantined=_quarantined(packed, found),
        fingerprint=fingerprint.of_dataset(
            rows.ids, labels, rows.side, packed.content, kinds, marks(learned, len(kept))
        ),
        missing={name: int((~store.has).sum()) for name, store in packed.stores.items()},
        duplicates=_duplicates(packed.content),
        notes=tuple(notes),
        weights=_weights(frame, fields, kept) if fit else None,
        divided=divider(fields, rows),
        golds=_golds(frame, fields, kept),
        targets=learned,
    )


def _packed(
    frame: Frame,
    modalities: Mapping[str, Modality],
    found: Sides,
    pack: Callable[[], Packing],
    validation: float | None,
    notes: list[str],
    *,
    fit: bool,
    again: bool,
) -> tuple[Packing, Sides]:
    """Packed rows and their sides, equal contents on one side; fits again without rows that this takes from training.

    Args:
        frame: All rows of the source.
        modalities: Field -> modality.
        found: Sides of all rows, before contents are known.
        pack: Packs the rows with the modalities as they are.
        validation: Share of validation rows; None draws none.
        notes: Receives remarks on the split.
        fit: Whether to fit the modalities.
        again: Whether to fit a second time.
    """
    fresh = {id(m): copy.deepcopy(m) for m in modalities.values()}
    if fit:
        _fit(frame, modalities, found)
    packed = pack()
    rows = keep_duplicates_together(found.of(packed.kept), packed, validation, notes)
    if fit and again and (found.training[packed.kept] & ~rows.training).any():
        side = found.side.copy()
        side[packed.kept] = rows.side
        found = replace(found, side=side)
        if _fit_again(frame, modalities, fresh, found):
            packed = pack()
            rows = found.of(packed.kept)
    return packed, rows


def _quarantined(packed: Packing, found: Sides) -> list[Quarantined]:
    """Unreadable rows with their ids."""
    return [(row, str(found.ids[row]), field, reason) for row, field, reason in packed.unreadable]


def _fit(frame: Frame, modalities: Mapping[str, Modality], found: Sides) -> None:
    """Fits each modality to a sample of training rows, or of all if none trains."""
    training = np.flatnonzero(found.training)
    training = training[np.argsort(found.keys[training])]
    rows = training if len(training) else np.arange(len(frame))
    # fields may share a modality, which is fitted to all of them
    for modality in {id(m): m for m in modalities.values()}.values():
        names = [name for name, m in modalities.items() if m is modality]
        modality.fit([item for name in names for item in sample(frame, name, modality, rows)])


def _fit_again(frame: Frame, modalities: Mapping[str, Modality], fresh: Mapping[int, Modality], found: Sides) -> bool:
    """Fits fresh modalities to the training rows, and restores `modalities` to what they learned.

    Returns:
        Whether any modality learned something else.
    """
    _fit(frame, {name: fresh[id(m)] for name, m in modalities.items()}, found)
    others = [m for m in modalities.values() if m.state() != fresh[id(m)].state()]
    for modality in others:
        modality.restore(fresh[id(modality)].state())
    return bool(others)


def _no_view(frame: Frame, fields: Mapping[str, Field]) -> str:
    kinds = list(registry.kinds("modalities"))
    columns = "; ".join(f"{name}: {field.kind} ({field.why})" for name, field in list(fields.items())[:8])
    columns += f" and {len(fields) - 8} more columns" if len(fields) > 8 else ""
    return (
        f"{frame.name} has no column to learn from; expected {', '.join(kinds[:-1])} or {kinds[-1]}. Found {columns}. "
        f"Say what a column is: --field NAME={kinds[0]} (or {', or '.join(kinds[1:])})."
    )


def _weights(frame: Frame, fields: Mapping[str, Field], kept: np.ndarray) -> np.ndarray | None:
    column = of_kind(fields, "weight")
    if column is None:
        return None
    values = frame.columns[column]
    if isinstance(values, np.ndarray) or not is_number(values.type):
        raise UserError(f"{frame.name}, column '{column}': expected a number per row, how often it is drawn.")
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
        f"Correct them, or leave them out with --quarantine {enough:g}.",
        quarantined,
    )


def _trainable(frame: Frame, modalities: Mapping[str, Modality], packed: Packing, training: np.ndarray) -> None:
    if training.sum() < 2:
        found = "one row" if training.any() else "no row"
        raise UserError(f"{frame.name} has {found} to train on; contrast needs at least two, and learns from hundreds.")
    for name in packed.stores:
        if name in packed.flat and modalities[name].all_flat:
            raise UserError(f"{frame.name}, field '{name}': {modalities[name].all_flat}")


def _labels(frame: Frame, fields: Mapping[str, Field], kept: np.ndarray, notes: list[str]) -> np.ndarray | None:
    column = of_kind(fields, "label")
    if column is None:
        return None
    values, codes = coded(frame.columns[column])
    labels = np.array([class_name(value) for value in values], dtype=str)[codes[kept]]
    classes = sorted(set(np.unique(labels).tolist()) - {""})
    if len(classes) < 2:
        found = f"only '{classes[0]}'" if classes else "nothing"
        notes.append(
            f"the label column '{column}' holds {found}: fine for training, but no score can tell classes apart."
        )
    return labels


def _golds(frame: Frame, fields: Mapping[str, Field], kept: np.ndarray) -> np.ndarray | None:
    column = of_kind(fields, "score")
    if column is None:
        return None
    return numbers(frame.columns[column], f"{frame.name}, column '{column}'")[kept]


def _metadata(frame: Frame, fields: Mapping[str, Field], kept: np.ndarray, cache: Path) -> pa.Table:
    """Plain and text columns of the usable rows.

    Of several texts in a cell, the first is kept. Columns stay memory-mapped, in a table of their own if rows were
    quarantined.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    label = of_kind(fields, "label")  # the first of several is used for evaluation; the others are metadata
    for name, field in fields.items():
        column = frame.columns[name]
        if (field.kind in _STORED or (field.kind == "label" and name != label)) and not isinstance(column, np.ndarray):
            columns[name] = without_nan(column)
    table = pa.table(columns)
    if len(kept) == len(frame) and not any(is_list(column.type) for column in columns.values()):
        return table
    schema = pa.schema({f.name: pa.string() if is_list(f.type) else f.type for f in table.schema})

    def batches() -> Iterator[pa.RecordBatch]:
        for start, stop in chunks(len(frame)):
            part = table.slice(start, stop - start)
            mask = np.zeros(stop - start, bool)
            mask[kept[np.searchsorted(kept, start) : np.searchsorted(kept, stop)] - start] = True
            part = part.filter(pa.array(mask))
            arrays = [_first(part[f.name]) if is_list(f.type) else part[f.name] for f in table.schema]
            yield from pa.table(arrays, schema=schema).combine_chunks().to_batches()

    return arrow_cache.fetched(
        f"metadata {fingerprint.text(kept.tobytes())} {schema}", cache, lambda: (schema, batches())
    )


def _first(lists: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([str(cell[0]) if cell else None for cell in lists.to_pylist()], pa.string())])


def _duplicates(content: Mapping[str, np.ndarray]) -> int:
    rows = fingerprint.rows(content)
    return len(rows) - len(np.unique(rows))
