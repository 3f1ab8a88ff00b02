"""Input of an exported graph: numbers of items, listed in items.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from kontrast.data.export_entry import ExportEntry


class HistoryEntry(ExportEntry):
    """Input `items`, (B, L) int64: the number of each item, -1 after the end of a row.

    Args:
        names: Item ids in the order of their numbers, the unknown one and the mask first.
        length: Most items of a row.
    """

    def __init__(self, names: Sequence[str], length: int) -> None:
        super().__init__()
        self.names, self.length = list(names), length
        self.axes = {"items": ("batch", "length")}
        self.most = {"length": length}
        self.words = (
            f"int64, the last {length} items of a row at most, each by its place in items.json (0 for an unknown one), "
            "-1 after the end; no row without an item"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Numbers of items, as they are."""
        return inputs[0]

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The last items of each row, side by side."""
        rows = [row[-self.length :] for row in packed]
        batch = np.full((len(rows), max(map(len, rows))), -1, np.int64)
        for line, row in zip(batch, rows, strict=True):
            line[: len(row)] = row
        return {"items": batch}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Rows of up to 7 random items."""
        draw = np.random.default_rng(0)
        size = [min(self.length, 4 + number % 4) for number in range(rows)]
        return [draw.integers(0, len(self.names), n).astype(np.int32) for n in size]

    def beside(self, folder: Path) -> dict[str, Any]:
        """Writes items.json."""
        (folder / "items.json").write_text(json.dumps(self.names, ensure_ascii=False), encoding="utf8")
        return {"items": "items.json"}
