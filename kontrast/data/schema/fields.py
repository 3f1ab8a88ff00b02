"""Infers the kind of each column (image, text, label, id, ...), and the reason.

Group, time, weight, labels, soft, number and sensitive are never guessed: the user names them.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Kinds
from kontrast.data.schema import file_tree, split, unsupported
from kontrast.data.schema.gold_score import gold
from kontrast.data.tables.column_reader import innermost, is_list, is_number, read_cells, without_nan
from kontrast.data.tables.frame import Frame

MIX_SOURCE, MIX_ID, MIX_WEIGHT = "mix source", "mix id", "mix weight"  # columns that mixing sources adds
_SAMPLE = 1000  # cells read per column, evenly spread over the rows
# If a table has several of these, the first name listed wins.
_LABELS = ("label", "labels", "class", "target", "y", "category", "classes", "targets", "class_name", "label_name")
_IDS = (MIX_ID, "id", "key", "uuid", "guid", "filename", "file_name", "index")
_SPLITS = ("split", "subset", "partition", "set", "fold", "part")
_SIDES = ("split", "group", "time")  # kinds that decide the side of a row
_DECIDE = (*_SIDES, "id", "image")  # kinds that ids and sides are made of
_TEXTS = ("text", "caption", "captions", "sentence", "description", "title", "body", "content", "review", "document")
_CLOUDS = ("points", "point_cloud", "pointcloud", "cloud", "xyz", "coords", "pos", "vertices")
_PICTURES = re.compile(r"\.(png|jpe?g|jfif|bmp|gif|webp|tiff?|pp?gm|ppm|avif)$", re.IGNORECASE)
_URL = re.compile(r"^(https?|ftp|s3|gs|hf)://\S+$|^www\.\S+$", re.IGNORECASE)
_MOMENT = re.compile(r"^\d{4}[-/]\d\d?[-/]\d\d?([T ][\d:.+Z-]*)?$|^\d\d?[./]\d\d?[./]\d{4}$|^\d\d?:\d\d(:\d\d)?$")
_CODE = re.compile(r"^(?=.*\d)[\w.:/-]+$", re.ASCII)
_PATH = re.compile(r"^[^\s/]*(/[^\s/]+)+$")
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"P5", b"P6")


@dataclass(frozen=True)
class Field:
    """Kind of a column, with the reason.

    Attributes:
        kind: An entry of `kontrast.core.experiment.Kinds`.
        why: The reason, in words that a user understands.
    """

    kind: str
    why: str


_ADDED = {
    MIX_SOURCE: Field("meta", "the source of each row"),
    MIX_ID: Field("id", "the source and its own id of each row"),
    MIX_WEIGHT: Field("weight", "how often a row of its source is drawn"),
}


@dataclass(frozen=True)
class _Seen:
    """Cells of a column that inference may read; `rows` is (N,) bool, None for all."""

    column: pa.ChunkedArray | np.ndarray
    rows: np.ndarray | None

    def __len__(self) -> int:
        return len(self.column) if self.rows is None else int(self.rows.sum())

    def sample(self) -> list[Any]:
        """Up to 1,000 cells, evenly spread; empty cells are left out."""
        there = np.arange(len(self.column)) if self.rows is None else np.flatnonzero(self.rows)
        places = np.unique(np.linspace(0, len(there) - 1, min(_SAMPLE, len(there))).astype(np.int64))
        return [cell for cell in read_cells(self.column, there[places]) if cell is not None]

    @property
    def filled(self) -> int:
        assert not isinstance(self.column, np.ndarray)
        if self.rows is None:
            return len(self.column) - self.column.null_count
        there = pc.call_function("is_valid", [self.column]).to_numpy()
        return int((there & self.rows).sum())

    def values(self) -> pa.ChunkedArray:
        """Cells of all readable rows; a copy unless these are all rows."""
        assert not isinstance(self.column, np.ndarray)
        return self.column if self.rows is None else self.column.filter(pa.array(self.rows))


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
    kinds = get_args(Kinds)
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
    fields = {column: _field(column, frame, training) for column in rest}
    said = {column: Field(kind, "as you said") for column, kind in chosen.items()}
    if label:
        said[label] = Field("label", "as you said")
    _single(fields, said)
    _score(fields, said, frame)
    # Of several labels the first is used for evaluation: the one in `label`, else the first chosen.
    first = [column for column, field in said.items() if field.kind == "label"]
    first = sorted(first, key=lambda column: column != label) if len(first) > 1 else []
    return {column: said.get(column) or fields[column] for column in dict.fromkeys([*first, *frame.columns])}


def _score(fields: dict[str, Field], said: Mapping[str, Field], frame: Frame) -> None:
    """Marks the gold score of two texts among the inferred columns, if any."""
    kinds = {column: field.kind for column, field in {**fields, **said}.items()}
    columns = ((name, frame.columns[name]) for name, field in fields.items() if field.kind == "meta")
    numbers = [name for name, column in columns if not isinstance(column, np.ndarray) and is_number(column.type)]
    if column := gold(kinds, numbers):
        fields[column] = Field("score", "the number beside two texts: how alike they are")


def deciding(frame: Frame, chosen: Mapping[str, str]) -> dict[str, Field]:
    """Columns that decide which rows train: id, split, and what the user chose.

    Without an id, images named by paths are included, since their paths serve as ids.
    """
    said = {_as_written(column, frame): Field(kind, "as you said") for column, kind in chosen.items()}
    said = {column: field for column, field in said.items() if column in frame.columns}
    names = [name for name in frame.columns if name in _ADDED or _decides(name.lower())]
    found = {name: _field(name, frame) for name in names if name not in said}
    _single(found, said)
    every = {**found, **said}
    if not any(field.kind == "id" for field in every.values()):
        paths = [name for name, column in frame.columns.items() if name not in every and _is_text(column)]
        every |= {name: _field(name, frame) for name in paths}
    return {name: every[name] for name in frame.columns if name in every and every[name].kind in _DECIDE}


def _decides(name: str) -> bool:
    return name in _SPLITS or _named_id(name)


def _is_text(column: pa.ChunkedArray | np.ndarray) -> bool:
    if isinstance(column, np.ndarray):
        return False
    return types.is_string(column.type) or types.is_large_string(column.type) or types.is_string_view(column.type)


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


def _field(name: str, frame: Frame, training: np.ndarray | None = None) -> Field:
    if name in _ADDED:
        return _ADDED[name]
    column = frame.columns[name]
    if training is not None and _decides(name.lower()):
        every = _field(name, frame)
        if every.kind in ("id", "split"):
            return every
    seen = _Seen(column, training)
    cells = seen.sample()
    if not cells:
        return Field("ignore", "empty in every row that was looked at")
    if isinstance(column, np.ndarray):
        return _of_arrays(name.lower(), cells)
    kind = column.type
    if is_list(kind):
        return _of_lists(name.lower(), kind, cells)
    if _is_text(column):
        return _of_strings(name.lower(), seen, [cell for cell in cells if cell.strip()], frame.folder)
    if is_number(kind) or types.is_boolean(kind):
        return _of_numbers(name.lower(), seen)
    if types.is_temporal(kind):
        return Field("meta", "dates or times")
    return _of_records(kind, cells)


def _of_arrays(name: str, cells: list[Any]) -> Field:
    arrays = [cell for cell in cells if isinstance(cell, np.ndarray)]
    if not arrays:
        picture = type(cells[0]).__module__.startswith("PIL.")
        return Field("image", "pictures") if picture else Field("ignore", f"objects of type {type(cells[0]).__name__}")
    shape = " x ".join(map(str, arrays[0].shape)) if len({a.shape for a in arrays}) == 1 else "differing size"
    if arrays[0].dtype.kind not in "biuf":
        return Field("ignore", f"arrays of {arrays[0].dtype}, no numbers")
    if arrays[0].ndim == 3 and min(arrays[0].shape[0], arrays[0].shape[2]) <= 4:
        return Field("image", f"arrays of {shape} with at most 4 channels")
    if arrays[0].ndim == 2 and all(map(_is_grey, arrays[:32])):
        return Field("image", f"arrays of {shape} with values of a grey picture")
    if arrays[0].ndim == 1 and max(map(len, arrays)) < 4:
        return Field("ignore", f"at most {max(map(len, arrays))} numbers a row, too short for a series")
    if arrays[0].ndim == 2 and _is_cloud(name, arrays):
        return Field("ignore", f"arrays of {shape}: {unsupported.words('point clouds or meshes')}")
    if arrays[0].ndim <= 2:
        return Field("series", f"arrays of numbers ({shape})")
    return Field("ignore", f"arrays of {arrays[0].ndim} axes ({shape}); expected series of 1 or 2, or images of 2 or 3")


def _is_cloud(name: str, arrays: list[np.ndarray]) -> bool:
    return (name in _CLOUDS and 3 in arrays[0].shape) or unsupported.is_cloud(arrays)


def _is_grey(array: np.ndarray) -> bool:
    """Whether an array looks like a grey image, not like channels over time."""
    if min(array.shape) < 8 or max(array.shape) > 4 * min(array.shape):
        return False
    if array.dtype in (np.uint8, bool):
        return True
    low, high = array.min(), array.max()
    return array.shape[0] == array.shape[1] and low >= 0 and (high <= 1 or (array.dtype.kind in "iu" and high <= 255))


def _of_lists(name: str, kind: pa.DataType, cells: list[Any]) -> Field:
    inner, depth = innermost(kind)
    if depth == 1 and (types.is_string(inner) or types.is_large_string(inner)):
        return Field("text", "lists of strings: several texts a row")
    if not is_number(inner):
        return Field("ignore", f"lists of {inner}, neither numbers nor strings")
    shapes = [np.shape(cell) for cell in cells if isinstance(cell, np.ndarray)]
    if depth == 3 and any(len(s) == 3 and min(s[0], s[2]) <= 4 for s in shapes):
        return Field("image", "lists of three axes, one with at most 4 channels")
    if depth == 2 and types.is_uint8(inner) and all(map(_is_grey, [c for c in cells if isinstance(c, np.ndarray)])):
        return Field("image", "lists of rows of bytes: grey pictures")
    arrays = [cell for cell in cells if isinstance(cell, np.ndarray) and cell.ndim == 2]
    if depth == 2 and arrays and _is_cloud(name, arrays):
        return Field("ignore", f"lists of points: {unsupported.words('point clouds or meshes')}")
    if depth > 2:
        return Field("ignore", f"lists nested {depth} deep")
    longest = max(max(np.shape(cell), default=0) if isinstance(cell, np.ndarray) else len(cell) for cell in cells)
    if longest < 4:
        return Field("ignore", f"lists of at most {longest} numbers, too short for a series")
    return Field("series", "lists of numbers")


def _of_records(kind: pa.DataType, cells: list[Any]) -> Field:
    if types.is_struct(kind) and {kind.field(i).name for i in range(kind.num_fields)} == {"bytes", "path"}:
        filled = [c for c in cells if c["bytes"] or c["path"]]
        if filled and _mostly(
            lambda c: _is_picture(c["bytes"] or b"") or bool(_PICTURES.search(c["path"] or "")), filled
        ):
            return Field("image", "image files inside the table")
        kinds = {unsupported.of_bytes(c["bytes"] or b"") or unsupported.of_name(c["path"] or "") for c in filled[:20]}
        other = next((unsupported.words(kind) for kind in kinds if kind), "no images")
        return Field("ignore", f"files inside the table: {other}")
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        if _mostly(_is_picture, cells):
            return Field("image", "bytes of image files")
        other = next(
            (unsupported.words(kind) for cell in cells[:20] if (kind := unsupported.of_bytes(cell))), "no images"
        )
        return Field("ignore", f"bytes: {other}")
    return Field("ignore", f"nested or unknown values ({str(kind)[:60]}), which are not read")


def _of_numbers(name: str, seen: _Seen) -> Field:
    column = without_nan(seen.values())
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


def _of_strings(name: str, seen: _Seen, cells: list[str], folder: Path) -> Field:
    if not cells:
        return Field("ignore", "empty strings")
    if _mostly(lambda cell: bool(_PICTURES.search(cell)) and not _is_url(cell), cells):
        there = sum(file_tree.there(file_tree.found(folder, cell)) for cell in cells)
        if there:
            gone = f", {1 - there / len(cells):.0%} of which are not there" if there < len(cells) else ""
            return Field("image", f"strings that name image files{gone}")
        return Field("ignore", f"strings that look like image files, but none of them lies in {folder}")
    for kind in filter(None, {unsupported.of_name(cell) for cell in cells[:50]}):
        if _mostly(lambda cell, kind=kind: unsupported.of_name(cell) == kind, cells) and not _mostly(_is_url, cells):
            return Field("ignore", f"strings that name files: {unsupported.words(kind)}")
    if name in _SPLITS and all(split.part(cell) for cell in cells):
        parts = sorted({str(split.part(cell)) for cell in cells}, key="train validation test".index)
        return (
            Field("split", f"says {', '.join(parts)}") if len(parts) > 1 else Field("meta", f"says '{parts[0]}' only")
        )
    if _mostly(_is_url, cells):
        return Field("meta", "web addresses")
    if _mostly(lambda cell: bool(_MOMENT.match(cell)), cells):
        return Field("meta", "dates or times")
    return _of_words(name, seen, cells)


def _of_words(name: str, seen: _Seen, cells: list[str]) -> Field:
    some = len(set(cells))
    # Counting a long column is slow, so it is counted only if the sample repeats values.
    repeats = some < 0.9 * len(cells) or len(cells) < 40
    distinct = _distinct(seen.values()) if repeats or _named_id(name) else len(seen)
    filled = seen.filled
    if name in _LABELS and distinct <= max(2, filled / 2):
        return Field("label", f"{distinct} distinct strings, and named '{name}'")
    if _named_id(name) and distinct == len(seen):
        return Field("id", f"named '{name}', and different in every row")
    if distinct == 1 and filled == len(seen) > 1:
        return Field("ignore", "the same string in every row")
    if name in _TEXTS:
        return Field("text", f"strings, and named '{name}'")
    long = float(np.mean([len(cell) for cell in cells])) > 60
    if not long and (distinct <= min(50, filled / 20) or distinct <= min(20, filled / 4)):
        return Field("label", f"{distinct} distinct strings")
    if not long and distinct <= filled / 10:
        return Field("meta", f"{distinct} distinct strings, too many for classes that nobody named")
    if _mostly(lambda cell: bool(_PATH.match(cell)), cells):
        return Field("meta", "paths")
    if _mostly(lambda cell: bool(_CODE.match(cell)), cells):
        return Field("meta", "codes: single words with digits")
    return Field("text", "long strings" if long else "strings, most of them different")


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


def _is_url(cell: str) -> bool:
    return bool(_URL.match(cell))


def _named_id(name: str) -> bool:
    return name in _IDS or name.endswith("_id")


def _mostly(test: Callable[[Any], bool], cells: list[Any]) -> bool:
    return sum(map(test, cells)) >= 0.8 * len(cells)


def _is_picture(data: bytes) -> bool:
    return data.startswith(_MAGIC) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP") or data[4:12] == b"ftypavif"
