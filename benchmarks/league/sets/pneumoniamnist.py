"""PneumoniaMNIST: chest x-rays of 28 pixels, normal or not."""

from pathlib import Path

import numpy as np

from benchmarks.league.task import Task


def names(data: Path) -> list[str]:
    """The one set."""
    return ["pneumoniamnist"] * (data / "pneumoniamnist" / "pneumoniamnist.npz").is_file()


def load(data: Path, name: str) -> Task:
    """Grey pictures as three equal channels."""
    with np.load(data / "pneumoniamnist" / "pneumoniamnist.npz", allow_pickle=False) as archive:
        d = dict(archive)
    rows = {part: list(d[f"{part}_images"][..., None].repeat(3, -1)) for part in ("train", "test")}
    labels = {part: d[f"{part}_labels"].ravel().astype(int) for part in ("train", "test")}
    train, test = {"image": rows["train"]}, {"image": rows["test"]}
    return Task(name, {"image": "image"}, train, test, labels["train"], labels["test"])
