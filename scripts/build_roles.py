"""Draws docs/roles.png: an emoji, a series and a text in each role of a view.

python -m scripts.build_roles
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as parquet
import torch

from kontrast.core import random_streams, registry
from kontrast.data.modality import Modality
from kontrast.data.view import Role
from kontrast.doctor.sheet import sheet
from kontrast.modalities.image.image import Image
from kontrast.modalities.series.series import Series
from kontrast.modalities.text.text import Text

EMOJI = registry.PACKAGE / "data" / "bundled" / "emoji.parquet"
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "roles.png"
SENTENCE = "a sentence of twelve words shows well which words a view leaves out"


def snippets(modality: Modality, cells: Sequence[Any], n: int) -> list[str]:
    """The n-th cell in each role, as HTML."""
    items = [modality.read(cell, Path()) for cell in cells]
    modality.fit(items)
    batch = modality.collate([modality.pack(items[n])])
    key = random_streams.key(2, 0, torch.tensor([n]), 0)
    return [modality.look(modality.augment(batch.clone(), key, key, role)[0]) for role in get_args(Role)]


def build(file: Path = PICTURE) -> None:
    """Writes the picture."""
    emoji = parquet.read_table(EMOJI, columns=["google"]).column("google").to_pylist()[:200]
    waves = [[math.sin(t / 9 + n) + 0.4 * math.sin(t / 2.3) for t in range(150)] for n in range(8)]
    rows = [
        ("image", snippets(Image(size=64, flip=True), emoji, 13)),
        ("image", snippets(Image(size=64, flip=True), emoji, 120)),
        ("series", snippets(Series(normalise="dataset"), np.array(waves), 3)),
        ("text", snippets(Text(), [SENTENCE] * 2, 0)),
    ]
    sheet(rows, get_args(Role)).quantize(64).save(file, optimize=True)


if __name__ == "__main__":
    build()
