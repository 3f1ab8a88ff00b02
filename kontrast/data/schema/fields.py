"""Infers the kind of each column (image, text, label, id, ...), and the reason.

Group, time, weight, labels, soft, number and sensitive are never guessed: the user names them.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from kontrast.core import registry
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import OTHER_KINDS
from kontrast.data.schema import split, unsupported
from kontrast.data.schema.column import Claim, Column, is_text, is_url, mostly, shape_of
from kontrast.data.schema.gold_score import gold
from kontrast.data.tables.column_reader import is_list, is_number, without_nan
from kontrast.data.tables.frame import Frame

MIX_SOURCE, MIX_ID, MIX_WEIGHT = "mix source", "mix id", "mix weight"  # columns that mixing sources adds
# If a table has several of these, the first name listed wins.
_LABELS = ("label", "labels", "class", "target", "y", "category", "classes", "targets", "class_name", "label_name")
_IDS = (MIX_ID, "id", "key", "uuid", "guid", "filename", "file_name", "index")
_SPLITS = ("split", "subset", "partition", "set", "fold", "part")
_SIDES = ("split", "group", "time")  # kinds that decide the side of a row
_MOMENT = re.compile(r"^\d{4}[-/]\d\d?[-/]\d\d?([T ][\d:.+Z-]*)?$|^\d\d?[./]\d\d?[./]\d{4}$|^\d\d?:\d\d(:\d\d)?$")
_CODE = re.compile(r"^(?=.*\d)[\w.:/-]+$", re.ASCII)
_PATH = re.compile(r"^[^\s/]*(/[^\s/]+)+$")


@dataclass(frozen=True)
class Field:
    """Kind of a column, with the reason.

    Attributes:
        kind: A modality, or an entry of `kontrast.core.experiment.OTHER_KINDS`.
        why: The reason, in words that a user understands.
    """

    kind: str
    why: str


Claims = list[tuple[str, Claim]]
Modalities = list[tuple[str, Any]]
_ADDED = {
    MIX_SOURCE: Field("meta", "the source of each row"),
    MIX_ID: Field("id", "the source and its own id of each row"),
    MIX_WEIGHT: Field("weight", "how often a row of its source is drawn"),
}


def infer(
    frame: Frame, chosen: Mapping[str, str], label: str | None, training: np.ndarray | None = None
) -> dict[str, Field]:
    """Kind of every column; of several possible labels, ids or splits, only the likeliest.

    Args:
        frame: All rows of the source.
        chosen: Column -> kind, as the user said.
        label: The label's column, as the user said; None infers it.
        training: (N,) bool, rows that may be read; all if None. Ids and splits, which decide these, read all rows.

    Returns:
        Column -> field; if several labels are chosen, these come first.

    Raises:
        UserError: An unknown column or kind, or several columns of a kind that may occur only once.
    """
    modalities = _modalities()  # once: the registry reads the files of the package
    views = [name for name, _ in modalities]
    kinds = [*sorted(views), *OTHER_KINDS]
    chosen = {_as_written(column, frame): kind for column, kind in chosen.items()}
    label = label and _as_written(label, frame)
    for column, kind in {**chosen, **({label: "label"} if label else {})}.items():
        if column not in frame.columns:
            hint = did_you_mean(column, frame.columns)
            listed = "" if hint.startswith("; there is") else f" Its columns: {', '.join(frame.columns)}."
            raise UserError(f"{frame.name} has no column '{column}'{hint}{listed}")
        if kind not in kinds:
            raise UserError(f"column '{column}': no kind '{kind}'{did_you_mean(kind, kinds)}")
    rest = [column for column in frame.columns if column not in chosen and column != label]
    fields = {column: _field(column, frame, modalities, training) for column in rest}
    said = {column: Field(kind, "as you said") for column, kind in chosen.items()}
    if label:
        said[label] = Field("label", "as you said")
    _single(fields, said)
    _score(fields, said, frame, views)
    # Of several labels the first is used for evaluation: the one in `label`, else the first chosen.
    first = [column for column, field in said.items() if field.kind == "label"]
    first = sorted(first, key=lambda column: column != label) if len(first) > 1 else []
    return {column: said.get(column) or fields[column] for column in dict.fromkeys([*first, *frame.columns])}


def _score(fields: dict[str, Field], said: Mapping[str, Field], frame: Frame, modalities: Collection[str]) -> None:
    """Marks the gold score of two texts among the inferred columns, if any."""
    kinds = {column: field.kind for column, field in {**fields, **said}.items()}
    columns = ((name, frame.columns[name]) for name, field in fields.items() if field.kind == "meta")
    numbers = [name for name, column in columns if not isinstance(column, np.ndarray) and is_number(column.type)]
    views = {name: kind for name, kind in kinds.items() if kind in modalities}
    if "score" not in kinds.values() and (column := gold(views, numbers)):
        fields[column] = Field("score", "the number beside two texts: how alike they are")


def deciding(frame: Frame, chosen: Mapping[str, str]) -> dict[str, Field]:
    """Columns that decide which rows train: id, split, and what the user chose.

    Without an id, images named by paths are included, since their paths serve as ids.
    """
    said = {_as_written(column, frame): Field(kind, "as you said") for column, kind in chosen.items()}
    said = {column: field for column, field in said.items() if column in frame.columns}
    modalities = _modalities()
    names = [name for name in frame.columns if name in _ADDED or _decides(name.lower())]
    found = {name: _field(name, frame, modalities) for name in names if name not in said}
    _single(found, said)
    every = {**found, **said}
    if not any(field.kind == "id" for field in every.values()):
        paths = [name for name, column in frame.columns.items() if name not in every and is_text(column)]
        every |= {name: _field(name, frame, modalities) for name in paths}
    deciding = (*_SIDES, "id", *_file_kinds(modalities))
    return {name: every[name] for name in frame.columns if name in every and every[name].kind in deciding}


def file_fields(fields: Mapping[str, Field], frame: Frame) -> list[str]:
    """Columns whose strings name files."""
    kinds = _file_kinds(_modalities())
    return [name for name, field in fields.items() if field.kind in kinds and is_text(frame.columns[name])]


def _modalities() -> Modalities:
    """Names and classes of all modalities, in the order of their precedence."""
    found = [(name, registry.load("modalities", name)) for name in registry.kinds("modalities")]
    return sorted(found, key=lambda one: one[1].precedence)


def _file_kinds(modalities: Modalities) -> list[str]:
    """Modalities whose cells may name files."""
    return [name for name, modality in modalities if modality.files]


def _decides(name: str) -> bool:
    return name in _SPLITS or _named_id(name)


def _as_written(column: str, frame: Frame) -> str:
    """Spelling of a column's name in the frame; é has two Unicode forms."""
    if column in frame.columns:
        return column
    wanted = unicodedata.normalize("NFC", column)
    return next((name for name in frame.columns if unicodedata.normalize("NFC", name) == wanted), column)


def _single(fields: dict[str, Field], said: Mapping[str, Field]) -> None:
    """Leaves one inferred label, id and split; none if the user named some."""
    one = {"label": ("label",), "id": ("id",), "split": _SIDES, "weight": ("weight",)}
    for kind, names in (("label", _LABELS), ("id", _IDS), ("split", _SPLITS), ("weight", ())):
        named = [column for column, field in said.items() if field.kind in one[kind]]
        if len(named) > 1 and kind != "label":
            kinds = " or ".join(dict.fromkeys(said[column].kind for column in named))
            raise UserError(f"{len(named)} columns are chosen as the {kinds}: {', '.join(named)}; expected one.")
        found = [column for column, field in fields.items() if field.kind == kind]
        found.sort(key=lambda column: names.index(column.lower()) if column.lower() in names else len(names))
        by_name = [column for column in found if column.lower() in names]
        # Without a telling name, a label is accepted only if no other column could be one.
        keep = "" if named or (kind == "label" and not by_name and len(found) > 1) else found[0] if found else ""
        for column in found:
            if column != keep:
                fields[column] = Field("meta", fields[column].why)


def _field(name: str, frame: Frame, modalities: Modalities, training: np.ndarray | None = None) -> Field:
    if name in _ADDED:
        return _ADDED[name]
    if training is not None and _decides(name.lower()):
        every = _field(name, frame, modalities)
        if every.kind in ("id", "split"):
            return every
    column = Column(name.lower(), frame.columns[name], training, frame.folder, frame.within)
    if not column.cells:
        return Field("ignore", "empty in every row that was looked at")
    found = ((kind, modality.recognise(column)) for kind, modality in modalities)
    claims = [(kind, claim) for kind, claim in found if claim is not None]
    for usable in (True, False):
        for kind, claim in claims:
            if claim.by == "content" and claim.usable == usable:
                return Field(kind if usable else "ignore", claim.why)
    return _unclaimed(column, claims)


def _claimed(claims: Claims, by: str) -> Field | None:
    """The first claim of a sort."""
    return next((Field(kind, claim.why) for kind, claim in claims if claim.by == by), None)


def _unclaimed(column: Column, claims: Claims) -> Field:
    """Kind of a column whose cells alone do not make it any modality's."""
    kind = column.type
    if kind is None:
        return _of_objects(column.cells)
    if is_list(kind):
        inner, depth = column.listed
        deep = f"lists nested {depth} deep" if is_number(inner) else f"lists of {inner}, neither numbers nor strings"
        return Field("ignore", deep)
    if column.is_text:
        return _of_strings(column, claims)
    if is_number(kind) or types.is_boolean(kind):
        return _of_numbers(column)
    if types.is_temporal(kind):
        return Field("meta", "dates or times")
    return _of_records(column)


def _of_objects(cells: list[Any]) -> Field:
    arrays = [cell for cell in cells if isinstance(cell, np.ndarray)]
    if not arrays:
        return Field("ignore", f"objects of type {type(cells[0]).__name__}")
    if arrays[0].dtype.kind not in "biuf":
        return Field("ignore", f"arrays of {arrays[0].dtype}, no numbers")
    expected = "series of 1 or 2, images of 2 or 3, or videos of 3 or 4"
    return Field("ignore", f"arrays of {arrays[0].ndim} axes ({shape_of(arrays)}); expected {expected}")


def _of_records(column: Column) -> Field:
    if column.files:
        files = [(c["bytes"] or b"", c["path"] or "") for c in column.files[:20]]
        kinds = {unsupported.of_bytes(content) or unsupported.of_name(path) for content, path in files}
        other = next((unsupported.words(kind) for kind in kinds if kind), "no images")
        return Field("ignore", f"files inside the table: {other}")
    if column.binaries:
        kinds = (unsupported.of_bytes(cell) for cell in column.binaries[:20])
        return Field("ignore", f"bytes: {next((unsupported.words(kind) for kind in kinds if kind), 'no images')}")
    return Field("ignore", f"nested or unknown values ({str(column.type)[:60]}), which are not read")


def _of_numbers(seen: Column) -> Field:
    name, column = seen.name, without_nan(seen.readable)
    if name in _LABELS and all(map(_all_whole, column.chunks)):
        distinct = _distinct(column)
        if distinct <= max(2, seen.filled / 2):
            return Field("label", f"{distinct} distinct numbers, and named '{name}'")
    if _named_id(name) and types.is_integer(column.type) and _all_differ(column):
        return Field("id", f"named '{name}', and different in every row")
    low, high = pc.call_function("min_max", [column]).as_py().values()
    if low == high and len(column) > 1 and not column.null_count:
        return Field("ignore", "the same number in every row")
    return Field("meta", "true or false" if types.is_boolean(column.type) else "single numbers")


def _of_strings(column: Column, claims: Claims) -> Field:
    name, cells = column.name, column.strings
    if not cells:
        return Field("ignore", "empty strings")
    for kind in filter(None, {unsupported.of_name(cell) for cell in cells[:50]}):
        if mostly(lambda cell, kind=kind: unsupported.of_name(cell) == kind, cells) and not mostly(is_url, cells):
            return Field("ignore", f"strings that name files: {unsupported.words(kind)}")
    if name in _SPLITS and all(split.part(cell) for cell in cells):
        parts = sorted({str(split.part(cell)) for cell in cells}, key="train validation test".index)
        return (
            Field("split", f"says {', '.join(parts)}") if len(parts) > 1 else Field("meta", f"says '{parts[0]}' only")
        )
    if mostly(is_url, cells):
        return Field("meta", "web addresses")
    if mostly(lambda cell: bool(_MOMENT.match(cell)), cells):
        return Field("meta", "dates or times")
    return _of_words(column, claims)


def _of_words(seen: Column, claims: Claims) -> Field:
    name, cells = seen.name, seen.strings
    some = len(set(cells))
    # Counting a long column is slow, so it is counted only if the sample repeats values.
    repeats = some < 0.9 * len(cells) or len(cells) < 40
    distinct = _distinct(seen.readable) if repeats or _named_id(name) else len(seen)
    filled = seen.filled
    if name in _LABELS and distinct <= max(2, filled / 2):
        return Field("label", f"{distinct} distinct strings, and named '{name}'")
    if _named_id(name) and distinct == len(seen):
        return Field("id", f"named '{name}', and different in every row")
    if distinct == 1 and filled == len(seen) > 1:
        return Field("ignore", "the same string in every row")
    if named := _claimed(claims, "name"):
        return named
    long = seen.long
    if not long and (distinct <= min(50, filled / 20) or distinct <= min(20, filled / 4)):
        return Field("label", f"{distinct} distinct strings")
    if not long and distinct <= filled / 10:
        return Field("meta", f"{distinct} distinct strings, too many for classes that nobody named")
    if mostly(lambda cell: bool(_PATH.match(cell)), cells):
        return Field("meta", "paths")
    if mostly(lambda cell: bool(_CODE.match(cell)), cells):
        return Field("meta", "codes: single words with digits")
    return _claimed(claims, "rest") or Field("meta", "strings, most of them different")


def _distinct(column: pa.ChunkedArray) -> int:
    return pc.call_function("count_distinct", [column]).as_py()


def _all_differ(column: pa.ChunkedArray) -> bool:
    """Whether all integers differ; rising ones need no table of values seen."""
    if column.null_count:
        return False
    last = None
    for chunk in column.chunks:
        values = chunk.to_numpy()
        if (last is not None and len(values) and values[0] <= last) or not (values[1:] > values[:-1]).all():
            return _distinct(column) == len(column)
        last = values[-1] if len(values) else last
    return True


def _all_whole(values: pa.Array) -> bool:
    if not types.is_floating(values.type):
        return True
    known = values.drop_null().to_numpy()
    known = known[np.isfinite(known)]
    return bool((np.round(known) == known).all())


def _named_id(name: str) -> bool:
    return name in _IDS or name.endswith("_id")
