"""The CIFAR-10 subset: 10,000 and 2,000 pictures of 32 pixels, JPEG re-encodes."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.league.task import Task


def names(data: Path) -> list[str]:
    """The one set."""
    return ["cifar10"] * (len(list((data / "cifar10").glob("*train*.npz"))) == 1)


def load(data: Path, name: str) -> Task:
    """Pictures as (32, 32, 3) arrays."""
    images, labels = {}, {}
    for part in ("train", "test"):
        (packed,) = (data / "cifar10").glob(f"*{part}*.npz")
        with np.load(packed, allow_pickle=False) as archive:
            d = dict(archive)
        cuts = [io.BytesIO(d["blob"][a:b].tobytes()) for a, b in pairwise(d["off"])]
        images[part] = [np.asarray(Image.open(cut).convert("RGB")) for cut in cuts]
        labels[part] = d["y"].astype(int)
    train, test = {"image": images["train"]}, {"image": images["test"]}
    return Task(name, {"image": "image"}, train, test, labels["train"], labels["test"], note="JPEG re-encodes")
