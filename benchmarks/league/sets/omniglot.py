"""Omniglot, the first minimal set: 136 characters by 20 drawers, of whom the last five are the test; 35 pixels."""

from pathlib import Path

import numpy as np

from benchmarks.league.task import Task, take

SIDE, SMALL, HELD_OUT = 105, 3, 5


def names(data: Path) -> list[str]:
    """The one set."""
    return ["omniglot"] * (data / "omniglot" / "omniglot_small.npz").is_file()


def load(data: Path, name: str) -> Task:
    """Ink as three equal channels, averaged down from 105 pixels."""
    with np.load(data / "omniglot" / "omniglot_small.npz", allow_pickle=False) as archive:
        packed, labels, drawer = (archive[f"small1_{key}"] for key in ("X", "y", "drawer"))
    ink = np.unpackbits(packed, axis=1)[:, : SIDE * SIDE].reshape(-1, SIDE // SMALL, SMALL, SIDE // SMALL, SMALL)
    grey = (255 * ink.mean((2, 4))).astype(np.uint8)
    rows = list(grey[..., None].repeat(3, -1))
    held = drawer >= np.unique(drawer)[-HELD_OUT]
    train, test = np.flatnonzero(~held), np.flatnonzero(held)
    labels = labels.astype(int)
    return Task(
        name,
        {"image": "image"},
        {"image": take(rows, train)},
        {"image": take(rows, test)},
        labels[train],
        labels[test],
        note="held-out drawers",
    )
