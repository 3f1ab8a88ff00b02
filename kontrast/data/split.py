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
# A value that more rows than this share is a category (a stock caption, a blank picture), no copy of one thing, and binds no rows together.
_TWINS, _TWIN_SHARE = 10, 0.01


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


def given(values: list[Any]) -> np.ndarray | None:
    """(N,) bool, the rows kept for judging as a split column says: its test rows, or its validation rows where there are none.

    None where it keeps none, or all. Validation rows beside a test are trained on: nothing here is tuned on them, and the test stays unseen.
    """
    parts = np.array([part(value) or "train" for value in values])
    held_out = parts == ("test" if (parts == "test").any() else "validation")
    return held_out if held_out.any() and not held_out.all() else None


def drawn(keys: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(N,) bool: a row is kept for judging by its own key alone, so that added rows move no other."""
    stream = chance.key(seed, 0, torch.from_numpy(keys), _STREAM)
    return chance.uniform(stream, 1)[:, 0].numpy() < share


def together(held_out: np.ndarray, keys: np.ndarray, content: Mapping[str, np.ndarray]) -> np.ndarray:
    """The same, but rows with identical content in a field go where the one of them with the smallest key goes."""
    most = max(_TWINS, int(_TWIN_SHARE * len(keys)))
    leader = np.arange(len(keys))

    def root(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    groups = [group for codes in content.values() for group in _groups(codes, most)]
    for group in groups:
        roots = {root(row) for row in group}
        first = min(roots, key=lambda row: keys[row])
        for other in roots:
            leader[other] = first
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
