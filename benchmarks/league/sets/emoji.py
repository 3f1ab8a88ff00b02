"""Emoji: two drawings of each, and a drawing with its English name; matched within the held-out ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.league.task import Task, split, take


def names(data: Path) -> list[str]:
    """Drawing and drawing, drawing and name."""
    return ["emoji-drawings", "emoji-names"] * (data / "emoji" / "emoji64.npz").is_file()


def load(data: Path, name: str) -> Task:
    """(64, 64, 3) pictures; 30 % of the emoji are the test."""
    with np.load(data / "emoji" / "emoji64.npz", allow_pickle=False) as archive:
        google, twitter = list(archive["google"]), list(archive["twitter"])
    train, test = split(google)
    other: list[Any] = twitter
    if name == "emoji-names":
        rows = json.loads((data / "emoji" / "emoji.json").read_text(encoding="utf8"))
        other = [row["label"]["en"] for row in rows]
        kinds: Any = {"picture": "image", "name": "text"}
    else:
        kinds = {"google": "image", "twitter": "image"}
    fields = dict(zip(kinds, (google, other), strict=True))
    parts = ({field: take(cells, index) for field, cells in fields.items()} for index in (train, test))
    return Task(name, kinds, *parts)
