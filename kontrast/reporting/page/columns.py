"""Columns to colour the map by: label and metadata as categories, numbers or text."""

from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core.embedding_table import EmbeddingTable

MOST_COLUMNS, MOST_VALUES, LONGEST = 12, 200, 120


def columns(bank: EmbeddingTable, rows: np.ndarray) -> list[dict[str, Any]]:
    """Label and metadata of the given rows, label first.

    Args:
        bank: Embeddings with labels and metadata.
        rows: Indices of rows.

    Returns:
        {"name", "kind", "values"} each, with "codes" for categories.
    """
    made = []
    if bank.labels is not None and any(bank.labels[rows]):
        made.append(category("label", [str(v) for v in bank.labels[rows]]))
    for name in bank.metadata.column_names[:MOST_COLUMNS]:
        made.append(column(name, bank.metadata[name].take(pa.array(rows))))
    return made


def column(name: str, values: pa.ChunkedArray) -> dict[str, Any]:
    """Number column with over 12 distinct values; else categories if values repeat; else text."""
    cells = values.to_pylist()
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        known = {v for v in cells if v is not None and np.isfinite(v)}
        if len(known) > 12:
            return {"name": name, "kind": "number", "values": cells}
    words = ["" if v is None else short(v) for v in cells]
    distinct = len(set(words))
    if distinct <= MOST_VALUES and distinct <= max(2, len(words) // 2):
        return category(name, words)
    return {"name": name, "kind": "text", "values": words}


def category(name: str, words: list[str]) -> dict[str, Any]:
    """Categories in natural order; by frequency if many, since colours are few."""
    found, counts = np.unique(np.array(words, dtype=str), return_counts=True)
    many = len(found) > 10
    order = sorted(range(len(found)), key=lambda i: (-int(counts[i]) if many else 0, _natural(str(found[i]))))
    place = {str(found[i]): k for k, i in enumerate(order)}
    return {"name": name, "kind": "category", "values": [short(v) for v in place], "codes": [place[w] for w in words]}


def short(value: Any) -> str:
    """Text cut to fit a hover."""
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _natural(text: str) -> tuple[int, float, str]:
    """Sort key: 2 before 10, numbers before words, unknown last."""
    try:
        return (0, float(text), "")
    except ValueError:
        return (1 if text else 2, 0.0, text)
