"""Which rows are kept for judging: as the data says, or by hash of their ids, twins on one side."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from kontrast.core import chance
from kontrast.core.errors import UserError
from kontrast.data.cells import read_cells
from kontrast.data.frame import Column, Frame

_NAMES = {"train": "train", "training": "train", "tr": "train", "test": "test", "testing": "test", "te": "test"}
_NAMES |= dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), "validation")
_STREAM = -11  # sets these draws apart from all others of the same seed and ids
# More rows than this are not bound to one side, neither by one value, which then is a category (a stock caption, a
# blank picture) and no copy of one thing, nor by a chain of values of several fields, which could bind all rows.
_BOUND, _BOUND_SHARE = 10, 0.01


def part(name: Any) -> str | None:
    """train, test or validation, in any of their usual spellings; None for anything else."""
    return _NAMES.get(str(name).strip().lower())


def joined(parts: Mapping[str, Frame], name: str) -> Frame:
    """Frames of one shape under each other, with a column `split` that says which each row came from."""
    frames = {key: frame for key, frame in parts.items() if len(frame)}
    names: dict[str, None] = dict.fromkeys(column for frame in frames.values() for column in frame.columns)
    columns = {column: _under(column, frames, name) for column in names if column != "split"}
    split = np.repeat(list(frames), [len(frame) for frame in frames.values()])
    folder = next(iter(parts.values())).folder
    return Frame({**columns, "split": pa.chunked_array([pa.array(split, pa.string())])}, name, folder)


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


def given(values: list[Any], who: str) -> np.ndarray | None:
    """(N,) bool, the rows kept for judging as a split column says: its test rows, or validation where there is no test.

    None where it keeps none, or all. Validation rows beside a test are trained on: nothing here is tuned on them, and
    the test stays unseen. A row without an entry is trained on. `who` begins the message on any other entry.
    """
    strange = next((v for v in values if v is not None and str(v).strip() and part(v) is None), None)
    if strange is not None:
        raise UserError(f"{who} says '{strange}'; expected train, test or validation in every row.")
    parts = np.array([part(value) or "train" for value in values])
    held_out = parts == ("test" if (parts == "test").any() else "validation")
    return held_out if held_out.any() and not held_out.all() else None


def drawn(keys: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(N,) bool: a row is kept for judging by its own key alone, so that added rows move no other."""
    stream = chance.key(seed, 0, torch.from_numpy(keys), _STREAM)
    return chance.uniform(stream, 1)[:, 0].numpy() < share


def together(held_out: np.ndarray, keys: np.ndarray, content: Mapping[str, np.ndarray]) -> np.ndarray:
    """The same, but rows with identical content in a field go where the one of them with the smallest key goes.

    Up to 1 % of the rows (at least 10) are bound so; beyond that each goes its own way.
    """
    most = max(_BOUND, int(_BOUND_SHARE * len(keys)))
    leader, size = np.arange(len(keys)), np.ones(len(keys), np.int64)

    def root(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    groups = [group for codes in content.values() for group in _groups(codes, most)]
    for group in groups:
        roots = {root(row) for row in group}
        whole = sum(size[row] for row in roots)
        if whole > most:
            continue
        first = min(roots, key=lambda row: keys[row])
        for other in roots:
            leader[other] = first
        size[first] = whole
    sides = held_out.copy()
    for row in {row for group in groups for row in group}:
        sides[row] = held_out[root(row)]
    return sides


def twins(held_out: np.ndarray, content: Mapping[str, np.ndarray]) -> int:
    """How many rows kept for judging have the same content as a training row, in some field."""
    seen = np.zeros(len(held_out), bool)
    for codes in content.values():
        seen |= held_out & (codes >= 0) & np.isin(codes, codes[~held_out])
    return int(seen.sum())


def _groups(codes: np.ndarray, most: int) -> list[list[int]]:
    """The rows of each content that 2 to `most` rows share."""
    order = np.argsort(codes, kind="stable")
    _, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
    shared = (counts >= 2) & (counts <= most)
    return [order[start : start + n].tolist() for start, n in zip(starts[shared], counts[shared], strict=True)]
