"""Smart-watch recordings of exercises: six axes, lengths that differ; the last three of ten subjects are the test."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.league.task import Task, take

HELD_OUT = 3


def names(data: Path) -> list[str]:
    """The one set."""
    return ["watch"] * (data / "watch" / "watch.npz").is_file()


def load(data: Path, name: str) -> Task:
    """Rows as (T, 6) arrays."""
    with np.load(data / "watch" / "watch.npz", allow_pickle=False) as archive:
        d = dict(archive)
    rows = [d["X"][a:b].astype(np.float32) for a, b in pairwise(d["off"])]
    held = np.isin(d["subject"], np.unique(d["subject"])[-HELD_OUT:])
    train, test = np.flatnonzero(~held), np.flatnonzero(held)
    return Task(
        name,
        {"series": "series"},
        {"series": take(rows, train)},
        {"series": take(rows, test)},
        d["y"][train],
        d["y"][test],
        note="held-out subjects",
    )
