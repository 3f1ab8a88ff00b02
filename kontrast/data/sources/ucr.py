"""Time series in the plain tables of the UCR archive."""

from pathlib import Path

import numpy as np

from kontrast.core import available_memory
from kontrast.core.errors import UserError
from kontrast.data.sources import split_files
from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame

_SUFFIXES = (".tsv", ".txt")
_LOOKED_AT = 1_000_000  # characters of the first line


class Ucr(SourceReader):
    """A UCR table (.tsv, .txt) without header, or a folder or stem with NAME_TRAIN.tsv and NAME_TEST.tsv.

    The first number of a line is its label, the others its series (columns `label` and `series`); NaN at the end is
    padding.
    """

    order = 20
    reads = "UCR .tsv"

    def claims(self, data: object) -> bool:
        """Claims .tsv and .txt files whose first lines hold three numbers or more, nothing else."""
        files = (
            [f for one in split_files.sets(data, _SUFFIXES).values() for f in one.values()]
            if isinstance(data, Path)
            else []
        )
        return bool(files) and all(map(_is_numbers, files))

    def open(self, data: object, cache: Path | None) -> Frame:
        """Reads all rows into memory."""
        assert isinstance(data, Path)
        return split_files.opened(data, _SUFFIXES, _read)


def _is_numbers(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        cells = file.readline(_LOOKED_AT).replace(",", " ").split()[:1000]
    return len(cells) > 2 and all(map(_number, cells))


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read(path: Path) -> Frame:
    labels, rows = [], []
    text = available_memory.text(path, "expected a table of numbers as in the UCR archive.")
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.replace(",", " ").split()
        if not cells:
            continue
        try:
            values = np.array(cells, dtype=np.float64)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}; expected a label and a series, all numbers.") from error
        known = np.flatnonzero(~np.isnan(values[1:]))
        labels.append(f"{values[0]:g}")
        with np.errstate(over="ignore"):  # becomes infinite, and its row unreadable
            rows.append(values[1 : known[-1] + 2 if len(known) else 1].astype(np.float32))
    return frame_of({"series": rows, "label": labels}, path.name, path.parent)
