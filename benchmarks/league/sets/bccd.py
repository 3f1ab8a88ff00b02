"""BCCD: cells of blood cut out of microscope pictures by their boxes, 32 pixels, three kinds."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.league.task import Task

SIDE = 32


def names(data: Path) -> list[str]:
    """The one set."""
    return ["bccd"] * (data / "bccd" / "bccd.json").is_file()


def load(data: Path, name: str) -> Task:
    """Train and validation pictures' cells teach, the test pictures' cells are asked."""
    listed = json.loads((data / "bccd" / "bccd.json").read_text(encoding="utf8"))
    held_out = set(listed["splits"]["test"])
    found: dict[str, tuple[list[np.ndarray], list[str]]] = {"train": ([], []), "test": ([], [])}
    for row in listed["records"]:
        picture = Image.open(data / "bccd" / "images" / row["image"]).convert("RGB")
        images, labels = found["test" if Path(row["image"]).stem in held_out else "train"]
        for label, left, top, right, bottom in row["boxes"]:
            if right - left > 3 and bottom - top > 3:
                images.append(np.asarray(picture.crop((left, top, right, bottom)).resize((SIDE, SIDE))))
                labels.append(label)
    (train, y), (test, answers) = found["train"], found["test"]
    return Task(name, {"image": "image"}, {"image": train}, {"image": test}, np.array(y), np.array(answers))
