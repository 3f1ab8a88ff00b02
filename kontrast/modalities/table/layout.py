"""Which block each column of a table belongs to, and rows of all blocks side by side.

Axis letters: N rows of the sample, B rows of a batch, C columns, S numbers per packed row, F features.
"""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.modalities.table.blocks.block import Block
from kontrast.modalities.table.blocks.categories import Categories, level_of
from kontrast.modalities.table.blocks.dates import Dates, instant
from kontrast.modalities.table.blocks.numbers import Numbers, Scaling
from kontrast.modalities.table.blocks.strings import Strings

BLOCKS: tuple[type[Block], ...] = (Numbers, Categories, Dates, Strings)
"""Kinds of column, in the order in which they stand in a packed row."""
_MOSTLY = 0.95  # share of strings that read as numbers or dates where the others are blanks
_BLANKS = 5  # different strings among numbers that stand for a missing one
_COVERED = 0.8  # share of cells that the frequent values of a category hold, or the column is one of strings
_LEVELS, _FEATURES = 64, 20_000  # values per column, and features of all columns
_SAMPLE, _DRAWN = 256, 1_000_000  # cells kept per column to draw from, and of all columns
_BUCKETS = 64
_LARGEST = 1e30  # what is beyond is no number
_MOMENTS = (datetime.date, datetime.time, datetime.timedelta)
_COUNTED = 20  # rows from which on whole numbers that all differ, in a short range, cannot be chance


class Layout:
    """Blocks of columns.

    Args:
        columns: All columns that are read, in the order of the cells.
        blocks: Blocks that are not empty.

    Attributes:
        names: (C,) columns that are used, block after block.
        features: (C,) features per column.
        column_of_slot: (S,) the column of each packed number.
        slots: Packed numbers per row.
    """

    def __init__(self, columns: Sequence[str], blocks: Sequence[Block]) -> None:
        self.blocks = list(blocks)
        self.names = [name for block in blocks for name in block.names]
        self.features = [size for block in blocks for size in block.features]
        slots = [slot for block in blocks for slot in block.slots]
        self.slots = sum(slots)
        self.column_of_slot = torch.repeat_interleave(torch.arange(len(slots)), torch.tensor(slots, dtype=torch.int64))
        where = {name: at for at, name in enumerate(columns)}
        self._at = [[where[name] for name in block.names] for block in blocks]
        self._ends = np.cumsum([sum(block.slots) for block in blocks])[:-1].tolist()
        self._of_columns = np.cumsum([len(block.names) for block in blocks])[:-1].tolist()

    def pack(self, cells: np.ndarray) -> np.ndarray:
        """(S,) float32 of the (columns,) cells of a row."""
        parts = [block.pack(cells[at]) for block, at in zip(self.blocks, self._at, strict=True)]
        return np.concatenate(parts)

    def parts(self, packed: Tensor) -> list[tuple[Block, Tensor]]:
        """Each block with its own packed numbers, (B, s)."""
        return list(zip(self.blocks, packed.tensor_split(self._ends, 1), strict=True))

    def expand(self, packed: Tensor) -> Tensor:
        """Features without NaN: (B, S) -> (B, F)."""
        return torch.cat([block.expand(part) for block, part in self.parts(packed)], 1)

    def raw(self, packed: Tensor) -> Tensor:
        """Features of a linear model: (B, S) -> (B, R)."""
        return torch.cat([block.raw(part) for block, part in self.parts(packed)], 1)

    def draw(self, u: Tensor) -> Tensor:
        """Cells of other rows, column by column: (B, C) uniform numbers -> (B, S)."""
        parts = zip(self.blocks, u.tensor_split(self._of_columns, 1), strict=True)
        return torch.cat([block.draw(part) for block, part in parts], 1)

    def words(self, packed: np.ndarray) -> list[tuple[str, str]]:
        """(column, cell in words) of a packed row."""
        parts = zip(self.blocks, np.split(packed, self._ends), strict=True)
        said = [word for block, part in parts for word in block.words(part)]
        return list(zip(self.names, said, strict=True))

    def seen(self, features: np.ndarray) -> list[tuple[str, str]]:
        """(column, cell in words) of the (F,) features of a row."""
        ends = np.cumsum([sum(block.features) for block in self.blocks])[:-1]
        parts = zip(self.blocks, np.split(features, ends), strict=True)
        said = [word for block, part in parts for word in block.seen(part)]
        return list(zip(self.names, said, strict=True))

    def described(self) -> list[dict[str, Any]]:
        """Of each column its name, kind, first packed number and their count, and what explains these."""
        found, start = [], 0
        for block in self.blocks:
            for name, slots, how in zip(block.names, block.slots, block.described(), strict=True):
                found.append(
                    {"column": name, "kind": type(block).__name__.lower(), "first": start, "slots": slots, **how}
                )
                start += slots
        return found

    def state(self) -> dict[str, Any]:
        """State of each block by the name of its class."""
        return {type(block).__name__: block.state() for block in self.blocks}

    @classmethod
    def restored(cls, columns: Sequence[str], state: Mapping[str, Any]) -> "Layout":
        """From what `state` returned."""
        return cls(columns, [made.restored(state[made.__name__]) for made in BLOCKS if made.__name__ in state])


def fitted(
    columns: Sequence[str], cells: np.ndarray, *, categories: Sequence[str], scaling: Scaling, bins: int
) -> tuple[Layout, dict[str, str]]:
    """Finds the kind of each column and fits the blocks.

    Args:
        columns: Names.
        cells: (N, columns) objects; None where missing.
        categories: Columns whose numbers are codes.
        scaling: Features of numbers.
        bins: Parts between the quantiles of numbers.

    Returns:
        The layout, and column -> why it is left out.

    Raises:
        UserError: No column is left.
    """
    kinds: dict[type[Block], list[int]] = {made: [] for made in BLOCKS}
    values: dict[int, Any] = {}
    left, blanks = {}, []
    for at, name in enumerate(columns):
        column = cells[:, at]
        found = _kind(column, code=name in categories)
        if isinstance(found, str):
            left[name] = found
            continue
        made, values[at], words = found
        kinds[made].append(at)
        blanks += words
    used = sum(map(len, kinds.values()))
    if not used:
        reasons = "; ".join(f"'{name}': {why}" for name, why in list(left.items())[:4])
        raise UserError(
            f"the table has no column to learn from ({reasons}); expected at least one column of numbers, categories "
            "or dates that differ from row to row."
        )
    sample = max(8, min(_SAMPLE, _DRAWN // used))
    levels = max(2, min(_LEVELS, _FEATURES // used))
    parts = max(2, min(bins, _FEATURES // used))

    def of(made: type[Block]) -> list[str]:
        return [columns[at] for at in kinds[made]]

    blocks: list[Block] = []
    if at := kinds[Numbers]:
        numbers = np.stack([values[i] for i in at], 1)
        blocks.append(Numbers.fitted(of(Numbers), numbers, scaling=scaling, bins=parts, sample=sample, blanks=blanks))
    if at := kinds[Categories]:
        blocks.append(Categories.fitted(of(Categories), [values[i] for i in at], most=levels))
    if at := kinds[Dates]:
        blocks.append(Dates.fitted(of(Dates), [values[i] for i in at], sample=sample))
    if at := kinds[Strings]:
        buckets = max(4, min(_BUCKETS, _FEATURES // used))
        blocks.append(Strings.fitted(of(Strings), [values[i] for i in at], buckets=buckets, sample=min(sample, 64)))
    return Layout(columns, blocks), left


_Found = tuple[type[Block], Any, list[str]]


def _kind(column: np.ndarray, *, code: bool) -> _Found | str:
    """Block of a column, its cells as the block fits them, and its blanks; or why it is left out."""
    known = [cell for cell in column if cell is not None]
    if not known:
        return "empty in every training row"
    if not code and (found := _numbers(column, known)):
        numbers = found[1]
        return _counts_rows(numbers) or found if _varies(numbers) else f"the same in every training row ({known[0]})"
    words = [level_of(cell) for cell in known]
    if len(set(words)) == 1:
        return f"the same in every training row ({words[0][:40]})"
    if not code and _mostly(lambda cell: instant(cell) is not None, known):
        return Dates, [None if cell is None or instant(cell) is None else cell for cell in column], []
    share = len(known) * _COVERED
    common = sorted((words.count(word) for word in set(words)), reverse=True) if len(set(words)) < 2000 else []
    covered = sum(count for count in common[:_LEVELS] if count > 1)
    if code or len(set(words)) <= 2 or covered >= share:
        return Categories, list(column), []
    return Strings, list(column), []


def _numbers(column: np.ndarray, known: Sequence[Any]) -> _Found | None:
    """Column of numbers, some of them written as strings, with the strings that stand for a missing one."""
    kinds = set(map(type, known))
    if kinds & {bool, np.bool_} or any(issubclass(kind, _MOMENTS) for kind in kinds):
        return None
    if kinds <= {int, float}:
        parsed = column.astype(np.float64)  # None becomes NaN
        parsed[~(np.abs(parsed) < _LARGEST)] = math.nan
        return (Numbers, parsed, []) if np.isfinite(parsed).any() else None
    parsed = np.array([math.nan if cell is None else _number(cell) for cell in column])
    there = np.isfinite(parsed)
    blanks = sorted({str(cell).strip() for cell in column[~there] if isinstance(cell, str)})
    if there.sum() < _MOSTLY * len(known) or len(blanks) > _BLANKS or not there.any():
        return None
    return Numbers, parsed, blanks


def _number(cell: Any) -> float:
    try:
        found = float(cell)
    except (TypeError, ValueError):
        return math.nan
    return found if abs(found) < _LARGEST else math.nan


def _varies(numbers: np.ndarray) -> bool:
    known = numbers[np.isfinite(numbers)]
    return bool((known != known[0]).any())


def _counts_rows(numbers: np.ndarray) -> str:
    """Why a column is left out that numbers the rows, as an index does; "" for others."""
    distinct = np.unique(numbers)
    whole = len(distinct) == len(numbers) >= _COUNTED and bool((distinct == np.round(distinct)).all())
    return "it numbers the rows" if whole and distinct[-1] - distinct[0] < 2 * len(numbers) else ""


def _mostly(test: Callable[[Any], bool], cells: Sequence[Any]) -> bool:
    return sum(map(test, cells)) >= _MOSTLY * len(cells)
