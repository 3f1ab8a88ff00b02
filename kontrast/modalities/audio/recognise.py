"""Columns of sounds: sound files, their bytes, arrays with a rate."""

from typing import Any

import numpy as np
import pyarrow.types as types

from kontrast.data.schema import file_tree, unsupported
from kontrast.data.schema.column import Claim, Column, is_url, mostly
from kontrast.modalities.audio.clip import RATE_NAMES

_SOUND = "audio"  # as `unsupported` calls such files


def recognise(column: Column) -> Claim | None:
    """Says why a column holds sounds, by its cells."""
    if column.strings:
        return _named(column)
    if column.files:
        inside = mostly(lambda c: _is_sound(c["bytes"] or b"") or _names_sound(c["path"] or ""), column.files)
        return Claim("sound files inside the table") if inside else None
    if column.binaries:
        return Claim("bytes of sound files") if mostly(_is_sound, column.binaries) else None
    kind = column.type
    if kind is not None and not types.is_struct(kind):
        return None
    return Claim("arrays of samples with their rate") if column.cells and mostly(_has_rate, column.cells) else None


def _named(column: Column) -> Claim | None:
    """Strings that name sound files."""
    if not mostly(lambda cell: _names_sound(cell) and not is_url(cell), column.strings):
        return None
    there = sum(file_tree.there(file_tree.locate(column.folder, cell)) for cell in column.strings)
    if not there:
        missing = f"strings that look like sound files, but none of them lies in {column.folder}"
        return Claim(missing, usable=False)
    gone = 1 - there / len(column.strings)
    return Claim("strings that name sound files" + (f", {gone:.0%} of which are not there" if gone else ""))


def _has_rate(cell: Any) -> bool:
    if isinstance(cell, dict):
        return "array" in cell and any(name in cell for name in RATE_NAMES)
    return isinstance(cell, tuple) and len(cell) == 2 and np.ndim(cell[0]) > 0 and np.ndim(cell[1]) == 0


def _names_sound(cell: str) -> bool:
    return unsupported.of_name(cell) == _SOUND


def _is_sound(data: bytes) -> bool:
    return unsupported.of_bytes(data) == _SOUND
