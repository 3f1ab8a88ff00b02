"""Which rows train, which validate and which are kept for judging: as the data says, the latest, or by hash of their
ids or groups; twins on one side."""

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
HELD_OUT_STREAM, VALIDATION_STREAM = -11, -12  # set these draws apart from all others of the same seed and ids
# More rows than this are not bound to one side, neither by one value, which then is a category (a stock caption, a
# blank picture) and no copy of one thing, nor by a chain of values of several fields, which could bind all rows.
_BOUND, _BOUND_SHARE = 10, 0.01
_NEAR_SHARE = 0.25  # how far whole groups may be from the share that is asked for, relative to it, before some move
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def part(name: Any) -> str | None:
    """train, test or validation, in any of their usual spellings; None for anything else."""
    return _NAMES.get(str(name).strip().lower())


def joined(parts: Mapping[str, Frame], name: str) -> Frame:
    """Frames of one shape under each other, with a column `split` that says which each row came from."""
    frames = {key: frame for key, frame in parts.items() if len(frame)}
    columns = {column: values for column, values in under(frames, name).items() if column != "split"}
    lengths = np.array([len(frame) for frame in frames.values()], np.int64)
    split = np.repeat(np.array(list(frames), object), lengths)  # of no frame, no floats
    folder, within = next(iter(parts.values())).folder, widest(parts.values())
    return Frame({**columns, "split": pa.chunked_array([pa.array(split, pa.string())])}, name, folder, within)


def under(frames: Mapping[str, Frame], name: str) -> dict[str, Column]:
    """The columns of all of them, under each other; a column that one lacks is missing in its rows. `name` begins the
    message where a column differs in kind.
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


def given(values: Sequence[Any], codes: np.ndarray, who: str, *, validate: bool = True) -> np.ndarray | None:
    """The side of each row as a split column says it.

    Args:
        values: The distinct values of the column.
        codes: (N,) ints, the place among them of each row's value.
        who: Begins the message on an entry that is none of train, validation and test.
        validate: Whether validation rows beside a test validate; else they are trained on.

    Returns:
        (N,) int8 of TRAIN, VALIDATION and HELD_OUT. Rows without an entry train. Without test rows the validation rows
        are held out. None where no row is held out, or all are.

    Raises:
        UserError: Another entry.
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
    """(N,) bool: the latest `share` of the rows that have a time (int64, larger is later, smallest is none), those of
    one instant on one side. Rows without a time are trained on.

    Where the cut lies depends on all rows: of a table that grows, later rows are held out, and what was before them
    comes to be trained on.
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
    """(N,) int64 of dates, times or numbers, in their order; NO_TIME where there is none. `who` begins the message."""
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
    short = types.is_date32(kind) or types.is_time32(kind)  # Arrow makes these whole numbers of their own width only
    return (values.cast(pa.int32()) if short else values).cast(pa.int64()).fill_null(NO_TIME).to_numpy()


def seconds(column: Column, who: str) -> np.ndarray:
    """(N,) float64: dates, moments and times of a day in seconds, numbers as they are; NaN where there is none.

    Raises UserError, beginning with `who`, where a cell is no time.
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
    """Strings as instants; without a zone they are taken for UTC. An empty string is none."""
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
    """(N,) bool: a row is kept for judging by its own key alone, so that added rows move no other."""
    stream_N = random_streams.key(seed, 0, torch.from_numpy(keys), stream)
    return random_streams.uniform(stream_N, 1)[:, 0].numpy() < share


def grouped(units: np.ndarray, share: float, seed: int, stream: int = HELD_OUT_STREAM) -> np.ndarray:
    """(N,) bool: whole groups are kept for judging, as near to `share` of the rows as groups of their sizes allow.

    Each group is drawn by its own key, so that added rows move no other. Where that keeps more or less than asked by
    more than a quarter, which happens where groups are few, the groups next to the cut change sides while that brings
    the rows kept nearer to the share. At least one of several groups is kept and one trained on.

    Args:
        units: (N,) int64, equal within a group.
        share: the share of all rows that is asked for; 0 and 1 are taken at their word.
        seed: another seed draws other groups.
        stream: sets validation apart from what is held out.
    """
    groups, inverse, sizes = np.unique(units, return_inverse=True, return_counts=True)
    place = random_streams.uniform(random_streams.key(seed, 0, torch.from_numpy(groups), stream), 1)[:, 0].numpy()
    kept, wanted = place < share, share * len(units)
    count = int(sizes[kept].sum())
    for _ in range(3):  # to the share, back if a large group went too far, and to it again
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
    """The same sides, but rows with identical content in a field go where the one of them with the smallest key goes.

    Rows of one key, which are one group, are never parted. Up to 1 % of the rows (at least 10) are bound by content;
    beyond that each goes its own way.
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
    """How many rows kept for judging have the same content as a training row, in some field; both (N,) bool."""
    seen = np.zeros(int(held_out.sum()), bool)
    for codes in content.values():
        some = codes[held_out]
        seen |= (some >= 0) & np.isin(some, codes[training])
    return int(seen.sum())


def _alike(codes: np.ndarray, most: int) -> Iterator[list[int]]:
    """The rows of each content that 2 to `most` rows share."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    same = ordered[1:] == ordered[:-1]
    starts = np.flatnonzero(np.r_[True, ~same] & np.r_[same, False])  # the first of several
    ends = np.flatnonzero(np.r_[False, same] & np.r_[~same, True]) + 1
    for start, end in zip(starts, ends, strict=True):
        if end - start <= most:
            yield order[start:end].tolist()
