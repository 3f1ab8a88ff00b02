"""Texts: token ids, with the tokenizer in a file beside the graph."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.data.export_entry import ExportEntry
from kontrast.data.modality import Modality
from kontrast.modalities.text.marks import END


class TextEntry(ExportEntry):
    """Inputs `input_ids` and `attention_mask`, each (B, L) int64, as tokenizers give them.

    Tokenizing is no tensor operation, so tokenizer.json lies beside the graph.
    """

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        self.state = modality.state()
        self.axes = {"input_ids": ("batch", "length"), "attention_mask": ("batch", "length")}
        self.most = {"length": int(self.state["length"])}
        self.words = (
            f"ids from the tokenizer.json beside it, at most {self.state['length']} (it cuts them itself); mask 1 "
            "for a token and 0 for padding, whose ids do not matter; no row without a token"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Token ids, (B, L), with -1 for padding."""
        ids, mask = inputs
        return torch.where(mask > 0, ids, END)

    def feed(self, packed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Ids and mask of the first text of each row."""
        rows = [ids[: np.flatnonzero(np.append(ids, END) < 0)[0]] for ids in packed]
        mask = np.arange(max(map(len, rows))) < np.array([len(row) for row in rows])[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = np.concatenate(rows)
        return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}

    def made_up(self, rows: int) -> list[np.ndarray]:
        """Rows of 4 to 7 random token ids."""
        draw = np.random.default_rng(0)
        return [draw.integers(0, len(self.state["frequency"]), 4 + i % 4).astype(np.int32) for i in range(rows)]

    def beside(self, folder: Path) -> dict[str, Any]:
        """Writes tokenizer.json."""
        (folder / "tokenizer.json").write_text(json.dumps(self.state["tokenizer"], ensure_ascii=False), encoding="utf8")
        return {"tokenizer": "tokenizer.json"}
