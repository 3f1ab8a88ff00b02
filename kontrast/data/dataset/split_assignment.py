"""Side of every row (train, validation or held out), fixed before anything is fitted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kontrast.core.experiment import Source
from kontrast.data.dataset.packing import Packing
from kontrast.data.schema import fingerprint, split
from kontrast.data.schema.fields import Field, deciding, file_fields
from kontrast.data.schema.missing_values import missing
from kontrast.data.tables.column_reader import coded
from kontrast.data.tables.frame import Frame, chunks


@dataclass(frozen=True)
class Sides:
    """Rows that train, validate and are held out.

    Attributes:
        ids: (N,) distinct strings.
        keys: (N,) int64, 63-bit hashes of the ids.
        side: (N,) int8 of `split.TRAIN`, `split.VALIDATION` and `split.HELD_OUT`.
        units: (N,) int64. Rows with equal numbers form a group; of duplicates, the row with the smallest number
            decides.
        given: (N,) bool, rows whose side the data itself says, which therefore no duplicate moves.
        said: Whether the data itself says which rows are held out.
    """

    ids: np.ndarray
    keys: np.ndarray
    side: np.ndarray
    units: np.ndarray
    given: np.ndarray
    said: bool

    @property
    def training(self) -> np.ndarray:
        """Rows that train: (N,) bool."""
        return self.side == split.TRAIN

    def of(self, rows: np.ndarray) -> "Sides":
        """Sides of some rows only."""
        if len(rows) == len(self.ids):  # avoids a copy
            return self
        parts = (self.ids, self.keys, self.side, self.units, self.given)
        ids, keys, side, units, given = (part[rows] for part in parts)
        return Sides(ids, keys, side, units, given, self.said)


def sides(frame: Frame, fields: Mapping[str, Field], source: Source, seed: int, notes: list[str]) -> Sides:
    """Assigns each row to a side, from its split, group, time or id only.

    Rows are held out as the split column says. Else, if a column is the group, they are drawn by hash of (seed, group);
    if a column is the time, the latest are held out; else they are drawn by hash of (seed, id). Added rows move no row
    that is drawn. Of the other rows, a share validates by the same rule, if the source asks for one and the data names
    none.

    Args:
        frame: All N rows of the source.
        fields: Column -> field.
        source: Shares of held-out and validation rows.
        seed: Seed of the draw, unless the source names one of its own.
        notes: Receives what the user should know.
    """
    seed = seed if source.split_seed is None else source.split_seed
    ids = _ids(frame, fields, notes)
    keys = fingerprint.numbers(ids)
    asked = source.validation or 0.0
    said, given = False, np.zeros(len(ids), bool)
    if group := of_kind(fields, "group"):
        values, codes = coded(frame.columns[group])
        known = np.array([fingerprint.number(f"group {value}".encode("utf8", "surrogatepass")) for value in values])
        units = np.where([not missing(value) for value in values], known, -1)[codes]
        units = np.where(units < 0, keys, units)
        side = np.where(split.grouped(units, source.held_out, seed), split.HELD_OUT, split.TRAIN).astype(np.int8)
        rest = np.flatnonzero(side == split.TRAIN)
        if asked and len(rest):
            side[rest[split.grouped(units[rest], asked, seed, split.VALIDATION_STREAM)]] = split.VALIDATION
    elif time := of_kind(fields, "time"):
        times = split.times(frame.columns[time], f"{frame.name}, column '{time}'")
        side = np.where(split.latest(times, source.held_out), split.HELD_OUT, split.TRAIN).astype(np.int8)
        before = split.latest(np.where(side == split.TRAIN, times, split.NO_TIME), asked)
        side[before] = split.VALIDATION
        # the earliest duplicate decides: no past row joins the future
        units = np.argsort(np.argsort(times, kind="stable"))
    else:
        units, column, found = keys, of_kind(fields, "split"), None
        if column:
            who = f"{frame.name}, column '{column}'"
            found = split.sides_of(*coded(frame.columns[column]), who, validate=source.validation != 0)
        said = found is not None
        if found is None:
            side = _drawn(keys, source.held_out, asked, seed)
        else:
            side, named = found, bool((found == split.VALIDATION).any())
            given = np.ones(len(ids), bool) if named else side == split.HELD_OUT
            if not named:
                drawn = split.drawn(keys, asked, seed, split.VALIDATION_STREAM)
                side[drawn & ~given] = split.VALIDATION
    return Sides(ids, keys, side, units, given, said)


def _drawn(units: np.ndarray, held_out: float, validation: float, seed: int) -> np.ndarray:
    held = split.drawn(units, held_out, seed)
    watching = split.drawn(units, validation, seed, split.VALIDATION_STREAM)
    return np.where(held, split.HELD_OUT, np.where(watching, split.VALIDATION, split.TRAIN)).astype(np.int8)


def keep_duplicates_together(sides: Sides, packed: Packing, asked: float | None, notes: list[str]) -> Sides:
    """Sides of the usable rows; duplicates share a side unless the data says otherwise.

    Args:
        sides: Sides of the usable rows.
        packed: Packed content of these rows.
        asked: Share of validation rows asked for; None for none.
        notes: Receives what the user should know.
    """
    side, free = sides.side.copy(), ~sides.given
    if free.all():
        side = split.together(side, sides.units, packed.content)
    elif free.any():
        own = {name: codes[free] for name, codes in packed.content.items()}
        side[free] = split.together(side[free], sides.units[free], own)
    if not sides.said and len(side) >= 2 > (side == split.TRAIN).sum():
        notes.append("too few rows to hold any out; all are trained on.")
        return replace(sides, side=np.zeros_like(side))
    if asked and not (side == split.VALIDATION).any():
        notes.append(f"no validation rows: a share of {asked:g} of so few rows is less than one row.")
    twins = split.twins(side == split.HELD_OUT, side == split.TRAIN, packed.content)
    if twins:
        why = "the split is the data's own" if sides.said else "too many rows share it to keep them on one side"
        notes.append(f"{twins} held-out rows have the same content as a training row in some field; {why}.")
    return replace(sides, side=side)


def training(frame: Frame, chosen: Mapping[str, str], source: Source, seed: int) -> np.ndarray | None:
    """Rows that train, before the kinds of all columns are known.

    Args:
        frame: All N rows of the source.
        chosen: Column -> kind, as the user said.
        source: Shares of held-out and validation rows.
        seed: Seed of the draw.

    Returns:
        (N,) bool; None if all rows train, or none.
    """
    found = sides(frame, deciding(frame, chosen), source, seed, []).training
    return None if found.all() or not found.any() else found


def divider(fields: Mapping[str, Field], sides: Sides) -> str:
    """What decided the side of the rows, in words: `2 of 10 groups of 'subject'`."""
    if group := of_kind(fields, "group"):
        groups, kept = len(np.unique(sides.units)), len(np.unique(sides.units[sides.side == split.HELD_OUT]))
        return f"{kept:,} of {groups:,} groups of '{group}', each whole"
    if time := of_kind(fields, "time"):
        return f"the latest by '{time}'"
    return f"as column '{of_kind(fields, 'split')}' says" if sides.said else ""


def of_kind(fields: Mapping[str, Field], kind: str) -> str | None:
    """First column of a kind; None if there is none."""
    return next((name for name, field in fields.items() if field.kind == kind), None)


def _ids(frame: Frame, fields: Mapping[str, Field], notes: list[str]) -> np.ndarray:
    """Distinct ids of the rows: (N,) strings.

    Taken from the id column, else from paths of files if all differ, else row numbers.
    """
    rows = len(frame)
    numbers = np.arange(rows).astype(f"U{len(str(rows))}")
    column = of_kind(fields, "id")
    if column is None:
        for name in file_fields(fields, frame):
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
    taken, distinct = set(codes.tolist()), ids.tolist()
    for row in np.flatnonzero(repeated):
        name, turn = distinct[row], 2
        while fingerprint.number(f"{name}#{turn}".encode("utf8", "surrogatepass")) in taken:
            turn += 1
        distinct[row] = f"{name}#{turn}"
        taken.add(fingerprint.number(distinct[row].encode("utf8", "surrogatepass")))
    notes.append(f"{repeated.sum()} rows repeat an id of column '{column}'; their ids become NAME#2, NAME#3.")
    return np.array(distinct, dtype=str)


def _strings(frame: Frame, column: str) -> np.ndarray:
    """Cells of a column as strings, "" for null: (N,).

    Read in chunks, since Python's strings are large.
    """
    parts = [
        np.array(["" if cell is None else str(cell) for cell in frame.cells(column, np.arange(start, stop))], dtype=str)
        for start, stop in chunks(len(frame))
    ]
    return np.concatenate(parts)
