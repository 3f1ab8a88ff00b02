"""UEA time series of several channels; FOLDER/uea/NAME.npz with X (n, channels, length)."""

from pathlib import Path

import numpy as np

from benchmarks.league.task import Task


def names(data: Path) -> list[str]:
    """Every set in the folder."""
    return sorted(p.stem for p in (data / "uea").glob("*.npz"))


def load(data: Path, name: str) -> Task:
    """Rows as (T, C) arrays."""
    with np.load(data / "uea" / f"{name}.npz", allow_pickle=False) as archive:
        d = dict(archive)
    rows = {part: [x.T.astype(np.float32) for x in d[f"X_{part}"]] for part in ("train", "test")}
    return Task(
        name, {"series": "series"}, {"series": rows["train"]}, {"series": rows["test"]}, d["y_train"], d["y_test"]
    )
