"""Tux Paint stamps: a picture with its English sentence."""

import json
from pathlib import Path

import numpy as np

from benchmarks.league.task import Task, split, take


def names(data: Path) -> list[str]:
    """The one set."""
    return ["stamps"] * (data / "tuxpaint" / "stamps.json").is_file()


def load(data: Path, name: str) -> Task:
    """(96, 96, 3) pictures; three tenths are asked. Stamps that share a sentence with another are left out."""
    with np.load(data / "tuxpaint" / "stamps96.npz", allow_pickle=False) as archive:
        pictures = archive["X"]
    rows = json.loads((data / "tuxpaint" / "stamps.json").read_text(encoding="utf8"))
    said = [row["text"].get("en", "") for row in rows]
    kept = np.array([i for i, words in enumerate(said) if words and said.count(words) == 1])
    fields = {"picture": take(list(pictures), kept), "sentence": take(said, kept)}
    train, test = split(fields["picture"])
    parts = ({field: take(cells, index) for field, cells in fields.items()} for index in (train, test))
    return Task(name, {"picture": "image", "sentence": "text"}, *parts)
