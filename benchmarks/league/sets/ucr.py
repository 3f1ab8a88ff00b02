"""UCR time series, one channel each; FOLDER/ucr/NAME.npz with X_train, y_train, X_test, y_test."""

from pathlib import Path

import numpy as np

from benchmarks.league.task import Task


def names(data: Path) -> list[str]:
    """Every set in the folder."""
    return sorted(p.stem for p in (data / "ucr").glob("*.npz"))


def load(data: Path, name: str) -> Task:
    """Rows as (T, 1) arrays."""
    with np.load(data / "ucr" / f"{name}.npz", allow_pickle=False) as archive:
        d = dict(archive)
    rows = {part: list(d[f"X_{part}"].astype(np.float32)[:, :, None]) for part in ("train", "test")}
    return Task(
        name, {"series": "series"}, {"series": rows["train"]}, {"series": rows["test"]}, d["y_train"], d["y_test"]
    )
