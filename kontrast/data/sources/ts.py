"""Time series in the .ts format of the UEA archive."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kontrast.core import available_memory
from kontrast.core.errors import UserError
from kontrast.data.sources import split_files
from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

PADDED = 1_000_000  # values of a row, filled up; beyond, the filling may not be nearly all of it


class Ts(SourceReader):
    """A UEA .ts file, or a folder or stem with NAME_TRAIN.ts and NAME_TEST.ts.

    Columns `series` (one or several channels, equal or unequal length, `?` is a gap) and `label`, where the file has
    class labels or targets.
    """

    order = 10
    reads = "UEA .ts"

    def claims(self, data: object) -> bool:
        """Claims .ts files, and folders or stems whose parts are .ts files."""
        return isinstance(data, Path) and bool(split_files.sets(data, (".ts",)))

    def open(self, data: object, cache: Path | None) -> Frame:
        """Reads all rows into memory."""
        assert isinstance(data, Path)
        return split_files.opened(data, (".ts",), _read)


def _read(path: Path) -> Frame:
    tags, lines = _halves(path)
    if tags.get("timestamps", "false").startswith("true"):
        raise UserError(f"{path} gives a time stamp with every value, which is not read; expected @timeStamps false.")
    labelled = any(tags.get(tag, "false").startswith("true") for tag in ("classlabel", "targetlabel"))
    rows: list[np.ndarray] = []
    labels: list[str] = []
    for number, line in lines:
        channels = line.split(":")
        if labelled:
            labels.append(channels.pop().strip())
        try:
            with np.errstate(over="ignore"):  # becomes infinite, and its row unreadable
                values = [np.array(c.replace("?", "nan").split(","), dtype=np.float32) for c in channels]
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}; expected numbers or ? separated by commas.") from error
        if not values or len(values) != len(rows[0] if rows else values):
            expected = f"where the first row has {len(rows[0])}" if rows else "before the label; expected one or more"
            raise UserError(f"{path}, line {number}: {len(values)} channels {expected}.")
        longest = max(map(len, values))
        if len(values) * longest > max(PADDED, 100 * sum(map(len, values))):
            raise UserError(
                f"{path}, line {number}: {len(values):,} channels, of which one has {longest:,} values and most hardly "
                "any; filled up to one length they would take 100 times the memory. Check the colons of that line."
            )
        rows.append(_stacked(values))
    columns = {"series": _column(rows), **({"label": labels} if labelled else {})}
    return frame_of(columns, path.name, path.parent)


def _halves(path: Path) -> tuple[dict[str, str], Iterator[tuple[int, str]]]:
    """The tags of the header in lower case, and the numbered lines of the data."""
    text = available_memory.text(path, "expected the .ts format of the UEA archive.")
    lines = [
        (n, s) for n, line in enumerate(text.splitlines(), 1) if (s := line.strip()) and not s.startswith(("#", "%"))
    ]
    start = next((i for i, (_, line) in enumerate(lines) if line.lower() == "@data"), None)
    if start is None:
        raise UserError(f"{path} has no line @data; expected the .ts format of the UEA archive.")
    heads = filter(None, (line.lower().lstrip("@").split(None, 1) for _, line in lines[:start]))
    return {head[0]: head[1] if len(head) > 1 else "" for head in heads}, iter(lines[start + 1 :])


def _stacked(channels: list[np.ndarray]) -> np.ndarray:
    """(C, T), the shorter channels with NaN at their ends."""
    out = np.full((len(channels), max(map(len, channels))), np.nan, np.float32)
    for row, channel in zip(out, channels, strict=True):
        row[: len(channel)] = channel
    return out


def _column(rows: list[np.ndarray]) -> list[np.ndarray]:
    """(T,) each where there is one channel, else (C, T)."""
    return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows
