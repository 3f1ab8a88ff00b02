"""Splits rows into train, validation and held out.

The data's own split decides, else time (the latest are held out), else a hash of the group or the id. Duplicates stay
on one side.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types
import torch

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.data.tables.column_reader import read_cells
from kontrast.data.tables.frame import Column, Frame, widest

NO_TIME = np.iinfo(np.int64).min
_NAMES = {"train": "train", "training": "train", "tr": "train", "test": "test", "testing": "test", "te": "test"}
_NAMES |= dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), "validation")
TRAIN, VALIDATION, HELD_OUT = 0, 1, 2  # the side of a row
_SIDES = {"train": TRAIN, "validation": VALIDATION, "test": HELD_OUT}
HELD_OUT_STREAM, VALIDATION_STREAM = -11, -12  # separate from all other draws of the same seed and ids
# Larger sets are not bound to one side: a value in more rows is a category (a stock caption, a blank picture), not a
# copy of one thing, and a chain of values of several fields could bind all rows.
_BOUND, _BOUND_SHARE = 10, 0.01
_NEAR_SHARE = 0.25  # relative distance from the share asked for beyond which whole groups move
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def part(name: Any) -> str | None:
    """Split that a name means: train, test or validation; None for other names."""
    return _NAMES.get(str(name).strip().lower())


def joined(parts: Mapping[str, Frame], name: str) -> Frame:
    """Concatenates the parts of a data set; a column `split` names each row's part."""
    frames = {key: frame for key, frame in parts.items() if len(frame)}
    columns = {column: values for column, values in under(frames, name).items() if column != "split"}
    lengths = np.array([len(frame) for frame in frames.values()], np.int64)
    split = np.repeat(np.array(list(frames), object), lengths)  # object, since an empty array would be float
    folder, within = next(iter(parts.values())).folder, widest(parts.values())
    return Frame({**columns, "split": pa.chunked_array([pa.array(split, pa.string())])}, name, folder, within)


def under(frames: Mapping[str, Frame], name: str) -> dict[str, Column]:
    """Columns of all frames, concatenated; missing where a frame lacks the column.

    Args:
        frames: Part -> frame.
        name: Begins the message.

    Raises:
        UserError: A column differs in kind between the frames.
    """
    names: dict[str, None] = dict.fromkeys(column for frame in frames.values() for column in frame.columns)
    return {column: _under(column, frames, name) for column in names}


def _under(column: str, frames: Mapping[str, Frame], name: str) -> Column:
    found: list[Column] = []
    for frame in frames.values():
        found.append(frame.columns[column] if column in frame.columns else pa.chunked_array([pa.nulls(len(frame))]))
    arrays = [c for c in found if isinstance(c, np.ndarray)]
    if len(arrays) == len(found) and len({c.shape[1:] for c in arrays}) == 1:
        return np.concatenate(arrays)
    if arrays:
        kept = np.empty(sum(map(len, found)), dtype=object)
        for row, cell in enumerate(cell for c in found for cell in read_cells(c, range(len(c)))):
            kept[row] = cell
        return kept
    tables = [pa.table({column: c}) for c in found]
    try:
        return pa.concat_tables(tables, promote_options="permissive")[column]
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        kinds = ", ".join(f"{key} {t[column].type}" for key, t in zip(frames, tables, strict=True))
        raise UserError(
            f"{name}: column '{column}' differs in kind between the parts ({kinds}); make them alike."
        ) from error


def sides_of(values: Sequence[Any], codes: np.ndarray, who: str, *, validate: bool = True) -> np.ndarray | None:
    """Side of each row as its split column says.

    Args:
        values: Distinct values of the column.
        codes: (N,) ints, the index of each row's value among them.
        who: Begins the message.
        validate: Whether validation rows beside a test validate; else they train. Default: True.

    Returns:
        (N,) int8 of TRAIN, VALIDATION and HELD_OUT. Rows without an entry train. Without test rows the validation rows
        are held out. None if no row is held out, or all are.

    Raises:
        UserError: An entry is none of train, validation and test.
    """
    strange = next((v for v in values if v is not None and str(v).strip() and part(v) is None), None)
    if strange is not None:
        raise UserError(f"{who} says '{strange}'; expected train, test or validation in every row.")
    sides = np.array([_SIDES[part(value) or "train"] for value in values], np.int8)
    if not (sides == HELD_OUT).any():
        sides[sides == VALIDATION] = HELD_OUT
    elif not validate:
        sides[sides == VALIDATION] = TRAIN
    held_out = sides[codes] == HELD_OUT
    return sides[codes] if held_out.any() and not held_out.all() else None


def latest(times: np.ndarray, share: float) -> np.ndarray:
    """Latest share of the rows that have a time.

    Rows of the same time stay on one side. The cut depends on all rows: if a table grows, later rows are held out and
    those before them train.

    Args:
        times: (N,) int64, larger is later; NO_TIME for rows without a time, which train.
        share: Share (0 to 1) of the rows with a time.

    Returns:
        (N,) bool.
    """
    known = np.sort(times[times != NO_TIME])
    count = round(share * len(known))
    if not count:
        return np.zeros(len(times), bool)
    cut = known[-count]
    if cut == known[0]:  # nothing is earlier
        later = known[known > cut]
        return times >= later[0] if len(later) else np.zeros(len(times), bool)
    return times >= cut


def times(column: Column, who: str) -> np.ndarray:
    """Orders dates, times or numbers.

    Args:
        column: Dates, times, numbers or strings of dates.
        who: Begins the message.

    Returns:
        (N,) int64, larger is later; NO_TIME in rows without a time.

    Raises:
        UserError: The column holds other values.
    """
    wanted = "expected dates such as 2024-05-17 or 2024-05-17T10:30:00Z, times, or numbers"
    if isinstance(column, np.ndarray):
        raise UserError(f"{who} holds arrays; {wanted}.")
    values: pa.ChunkedArray = column
    kind = values.type
    if types.is_string(kind) or types.is_large_string(kind):
        values = _moments(values, f"{who}: {{}}; {wanted}.")
    elif types.is_floating(kind):
        numbers = values.to_numpy()
        there = np.isfinite(numbers)
        found = np.full(len(numbers), NO_TIME)
        found[there] = np.unique(numbers[there], return_inverse=True)[1]
        return found
    elif not (types.is_temporal(kind) or types.is_integer(kind)):
        raise UserError(f"{who} holds {kind}; {wanted}.")
    short = types.is_date32(kind) or types.is_time32(kind)  # Arrow casts these to integers of their own width only
    return (values.cast(pa.int32()) if short else values).cast(pa.int64()).fill_null(NO_TIME).to_numpy()


def seconds(column: Column, who: str) -> np.ndarray:
    """Converts dates and times to seconds; numbers stay as they are.

    Args:
        column: Dates, times, numbers or strings of dates.
        who: Begins the message.

    Returns:
        (N,) float64, NaN in rows without a time.

    Raises:
        UserError: A cell is no time.
    """
    found = times(column, who)
    assert not isinstance(column, np.ndarray)  # `times` refuses arrays
    kind = column.type
    if types.is_floating(kind):
        numbers = column.to_numpy().astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    a_second = 1.0 if types.is_integer(kind) else _A_SECOND["us"]  # strings
    if types.is_temporal(kind):
        a_second = 1 / 86400 if types.is_date32(kind) else _A_SECOND["ms" if types.is_date64(kind) else kind.unit]
    return np.where(found == NO_TIME, np.nan, found / a_second)


def _moments(column: pa.ChunkedArray, message: str) -> pa.ChunkedArray:
    """Parses strings as instants, in UTC unless they name a zone; empty strings are null."""
    text = pc.call_function("utf8_trim_whitespace", [column])
    text = pc.call_function("if_else", [pc.call_function("equal", [text, ""]), None, text])
    zoned = pc.call_function("match_substring_regex", [text], pc.MatchSubstringOptions(r"(Z|[+-]\d\d:?\d\d)$"))
    kept = {}
    for has, zone in ((True, "UTC"), (False, None)):
        part = pc.call_function("if_else", [zoned if has else pc.call_function("invert", [zoned]), text, None])
        try:
            kept[has] = part.cast(pa.timestamp("us", zone)).cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise UserError(message.format(str(error).split(" in ")[0].split(". ")[0])) from error
    return pc.call_function("coalesce", [kept[True], kept[False]])


def drawn(keys: np.ndarray, share: float, seed: int, stream: int = HELD_OUT_STREAM) -> np.ndarray:
    """Draws rows by their own key only, so that added rows move no other.

    Args:
        keys: (N,) int64 hashes of the ids.
        share: Expected share (0 to 1) of the rows.
        seed: Seed of the draw.
        stream: Separates validation from held-out draws. Default: held out.

    Returns:
        (N,) bool.
    """
    stream_N = random_streams.key(seed, 0, torch.from_numpy(keys), stream)
    return random_streams.uniform(stream_N, 1)[:, 0].numpy() < share


def grouped(units: np.ndarray, share: float, seed: int, stream: int = HELD_OUT_STREAM) -> np.ndarray:
    """Draws whole groups that together hold about a share of the rows.

    Each group is drawn by its own key, so that added rows move no other. If the result differs from the share by more
    than a quarter of it, which happens with few groups, groups next to the cut change sides as long as this brings the
    result closer. Of several groups at least one is drawn and one is not, unless the share is 0 or 1.

    Args:
        units: (N,) int64, equal within a group.
        share: Share (0 to 1) of all rows.
        seed: Seed of the draw.
        stream: Separates validation from held-out draws. Default: held out.

    Returns:
        (N,) bool.
    """
    groups, inverse, sizes = np.unique(units, return_inverse=True, return_counts=True)
    place = random_streams.uniform(random_streams.key(seed, 0, torch.from_numpy(groups), stream), 1)[:, 0].numpy()
    kept, wanted = place < share, share * len(units)
    count = int(sizes[kept].sum())
    for _ in range(3):  # a large group may overshoot: back, and up to the share again
        few = count < wanted
        for group in np.argsort(np.where(few, place, -place), kind="stable"):  # from the cut onwards
            changed = count + (1 if few else -1) * int(sizes[group])
            if abs(count - wanted) <= _NEAR_SHARE * wanted:
                break
            if kept[group] != few and abs(changed - wanted) < abs(count - wanted):
                kept[group], count = few, changed
    if len(groups) > 1 and 0 < share < 1 and kept.all() | ~kept.any():
        kept[np.argmin(sizes)] = not kept.all()  # the smallest group changes the share least
    return kept[inverse]


def together(sides: np.ndarray, keys: np.ndarray, content: Mapping[str, np.ndarray]) -> np.ndarray:
    """Moves rows with identical content in a field to the same side.

    The row with the smallest key decides. Rows with equal keys form a group, which is never parted. At most 1 % of the
    rows (at least 10) are bound by content; larger sets of duplicates are left as they are.

    Args:
        sides: (N,) side of each row.
        keys: (N,) int64.
        content: Field -> (N,) int64 hashes of the content.

    Returns:
        (N,) sides.
    """
    most = max(_BOUND, int(_BOUND_SHARE * len(keys)))
    leader, size = np.arange(len(keys)), np.ones(len(keys), np.int64)
    if len(np.unique(keys)) < len(keys):
        _, heads, group, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        leader = heads[group]
        size[heads] = counts

    def root(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for alike in (rows for codes in content.values() for rows in _alike(codes, most)):
        roots = {root(row) for row in alike}
        whole = sum(size[row] for row in roots)
        if whole > most:
            continue
        first = min(roots, key=lambda row: keys[row])
        for other in roots:
            leader[other] = first
        size[first] = whole
    while not np.array_equal(above := leader[leader], leader):
        leader = above
    return sides[leader]


def twins(held_out: np.ndarray, training: np.ndarray, content: Mapping[str, np.ndarray]) -> int:
    """Number of held-out rows with the same content as a training row in some field.

    Args:
        held_out: (N,) bool.
        training: (N,) bool.
        content: Field -> (N,) int64 hashes of the content, negative in rows without the field.
    """
    seen = np.zeros(int(held_out.sum()), bool)
    for codes in content.values():
        some = codes[held_out]
        seen |= (some >= 0) & np.isin(some, codes[training])
    return int(seen.sum())


def _alike(codes: np.ndarray, most: int) -> Iterator[list[int]]:
    """Yields the rows of each content that 2 to `most` rows share."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    same = ordered[1:] == ordered[:-1]
    starts = np.flatnonzero(np.r_[True, ~same] & np.r_[same, False])  # the first of several
    ends = np.flatnonzero(np.r_[False, same] & np.r_[~same, True]) + 1
    for start, end in zip(starts, ends, strict=True):
        if end - start <= most:
            yield order[start:end].tolist()
