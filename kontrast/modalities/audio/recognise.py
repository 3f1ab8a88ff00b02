"""Columns of sounds: sound files, their bytes, arrays with a rate."""

from typing import Any

import numpy as np
import pyarrow.types as types

from kontrast.data.schema import unsupported
from kontrast.data.schema.column import Claim, Column, mostly
from kontrast.data.schema.named_files import named_files
from kontrast.modalities.audio.clip import RATE_NAMES

_SOUND = "audio"  # as `unsupported` calls such files


def recognise(column: Column) -> Claim | None:
    """Says why a column holds sounds, by its cells."""
    if column.strings:
        return named_files(column, _names_sound, "sound")
    if column.files:
        inside = mostly(lambda c: _is_sound(c["bytes"] or b"") or _names_sound(c["path"] or ""), column.files)
        return Claim("sound files inside the table") if inside else None
    if column.binaries:
        return Claim("bytes of sound files") if mostly(_is_sound, column.binaries) else None
    kind = column.type
    if kind is not None and not types.is_struct(kind):
        return None
    return Claim("arrays of samples with their rate") if column.cells and mostly(_has_rate, column.cells) else None


def _has_rate(cell: Any) -> bool:
    if isinstance(cell, dict):
        return "array" in cell and any(name in cell for name in RATE_NAMES)
    return isinstance(cell, tuple) and len(cell) == 2 and np.ndim(cell[0]) > 0 and np.ndim(cell[1]) == 0


def _names_sound(cell: str) -> bool:
    return unsupported.of_name(cell) == _SOUND


def _is_sound(data: bytes) -> bool:
    return unsupported.of_bytes(data) == _SOUND
