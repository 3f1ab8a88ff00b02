"""Input of an exported graph: the packed columns of a row, explained in columns.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.data.export_entry import ExportEntry
from kontrast.modalities.table.layout import Layout


class TableEntry(ExportEntry):
    """Input `columns`, (B, S) float32: numbers, codes of categories, days with seconds, hashed strings; NaN if missing.

    Args:
        layout: Of the fitted modality.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.axes = {"columns": ("batch", layout.slots)}
        self.most: dict[str, int] = {}
        self.words = (
            "float32, one or more numbers per column, NaN for a missing cell; columns.json says which, and the code of "
            "each category"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Features of the columns, (B, S) to (B, F)."""
        return self.layout.expand(inputs[0])

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Stacks packed rows."""
        return {"columns": np.stack(list(packed)).astype(np.float32)}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Rows of cells drawn from the training rows, column by column."""
        u = random_streams.uniform(torch.arange(rows), len(self.layout.names))
        return list(self.layout.draw(u).numpy())

    def beside(self, folder: Path) -> dict[str, Any]:
        """Writes columns.json."""
        described = json.dumps(self.layout.described(), indent=2, ensure_ascii=False)
        (folder / "columns.json").write_text(described + "\n", encoding="utf8")
        return {"columns": "columns.json"}
