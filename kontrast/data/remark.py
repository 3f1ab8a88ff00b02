"""What a modality remarks on a sample of its rows, for the doctor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

Level = Literal["fact", "note", "warning", "error"]


@dataclass(frozen=True)
class Remark:
    """Something that a user should know of rows.

    Attributes:
        name: Short name of the problem or fact.
        level: "fact" describes the data; "note" is worth knowing; "warning" costs quality or inflates scores; "error"
            makes a run fail or its result meaningless.
        words: What was found, why it matters and what to do.
        numbers: The numbers behind it, as plain JSON values.
        rows: Places of rows in the sample, as evidence.
    """

    name: str
    level: Level
    words: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[int] | np.ndarray = ()


@dataclass(frozen=True)
class Rows:
    """A sample of usable rows of a field.

    Attributes:
        field: Name of the field.
        folder: Paths in cells are relative to it.
        cells: Cells as the source holds them.
        packed: The same rows packed.
        lengths: (n,) ints, lengths of the packed rows on their first axis.
    """

    field: str
    folder: Path
    cells: Sequence[Any]
    packed: Sequence[Any]
    lengths: np.ndarray


def percentiles(lengths: np.ndarray) -> dict[str, int]:
    """Median, 95 %, 99 % and largest of some lengths."""
    if not len(lengths):
        return {"median": 0, "p95": 0, "p99": 0, "most": 0}
    middle, p95, p99 = np.percentile(lengths, [50, 95, 99]).round().astype(int).tolist()
    return {"median": middle, "p95": p95, "p99": p99, "most": int(lengths.max())}


def span(lengths: np.ndarray, unit: str) -> str:
    """Median and largest length in words."""
    middle, most = int(np.median(lengths)), int(lengths.max())
    return f"{middle:,} {unit}" if middle == most else f"{middle:,} {unit}, at most {most:,}"
