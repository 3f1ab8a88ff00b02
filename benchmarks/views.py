"""Two SimCLR views of every picture: kontrast's whole batches against lightly's and torchvision's single pictures.

    python -m benchmarks.views [DATA] --sizes 32 64 224 --repeats 5

DATA: a folder of pictures (any depth) or of packed JPEGs (`*.npz` with `blob` and `off`); without it, smooth noise is
generated. Every picture is squared and brought to the size beforehand, for all sides alike. One thread each, and its
processor seconds, so the numbers are a core's whatever else the machine does; the sides take turns, round after round.

All draw the same five: a crop of .2 to 1 of the area and 3:4 to 4:3, resized; a mirror image for half; brightness,
contrast and saturation by .4 and hue by .1 for four fifths; grey for a fifth; the scale of the channels. lightly goes
through PIL a picture, as its DataLoader does; torchvision v2 through a uint8 tensor a picture, as its documentation
advises; kontrast through `draw`, as its training loop does. What differs: lightly and torchvision antialias what they
shrink, change colours in random order and cut after each change; kontrast interpolates, and changes colours in one
product. lightly's default also blurs half of the views (off in its examples at 32 px), which kontrast never does: a row
by itself, not held to a bar.
"""

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pil

from kontrast.data.dataset.drawing import Drawing
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.modalities.image.image import Image

BARS = {32: 10.0, 64: 5.0, 224: 3.0}  # times lightly; for other sizes, that of the next larger
DRAWS = {"image.1": ViewSpec("image"), "image.2": ViewSpec("image")}
OTHERS = ("lightly", "lightly with blur", "torchvision v2")


def generated(n: int, size: int) -> list[np.ndarray]:
    """(size, size, 3) uint8: noise at 8 x 8, enlarged, so that neighbouring pixels are alike."""
    rough = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return [np.asarray(Pil.fromarray(r).resize((size, size), Pil.Resampling.BICUBIC)) for r in rough]


def pictures(folder: Path, n: int, size: int) -> list[np.ndarray]:
    """The first n pictures of a folder, the middle square of each at the size."""
    found: list[Path | io.BytesIO] = []
    for packed in sorted(folder.glob("*.npz")):
        with np.load(packed, allow_pickle=False) as archive:
            blob, off = archive["blob"], archive["off"]
        found += [io.BytesIO(blob[a:b].tobytes()) for a, b in pairwise(off[: n + 1])]
    found += sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"})
    if not found:
        sys.exit(f"{folder}: no pictures and no *.npz with packed ones.")
    made = []
    for file in (found * n)[:n]:
        image = Pil.open(file).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        made.append(np.asarray(image.crop((left, top, left + side, top + side)).resize((size, size))))
    return made


def kontrast(images: list[np.ndarray], size: int) -> Callable[[], object]:
    """Both views of all pictures, by keys."""
    modality = Image(size=size, channels=3, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    ids = torch.arange(len(images))
    batch = Batch(
        {"image": View("image", modality.collate([np.ascontiguousarray(i.transpose(2, 0, 1)) for i in images]))},
        {"id": ids},
    )
    drawing = Drawing(DRAWS, {"image": modality}, seed=0)
    return lambda: drawing(batch, 0)


def lightly(images: list[np.ndarray], size: int, blur: float) -> Callable[[], object]:
    """SimCLRTransform on a PIL picture after the other."""
    from lightly.transforms import SimCLRTransform

    transform = SimCLRTransform(input_size=size, cj_strength=0.5, min_scale=0.2, gaussian_blur=blur)
    files = [Pil.fromarray(i) for i in images]
    return lambda: [transform(i) for i in files]


def torchvision(images: list[np.ndarray], size: int) -> Callable[[], object]:
    """The same transforms, v2, on a uint8 tensor after the other."""
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(0.2, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    tensors = [torch.from_numpy(i.transpose(2, 0, 1).copy()) for i in images]
    return lambda: [(transform(i), transform(i)) for i in tensors]


def sides(images: list[np.ndarray], size: int, few: int) -> dict[str, tuple[Callable[[], object], int]]:
    """name -> (what draws the views, of how many pictures). A picture at a time takes as long with a few."""
    made = {"kontrast": (kontrast(images, size), len(images))}
    if find_spec("lightly"):
        made["lightly"] = lightly(images[:few], size, 0.0), few
        made["lightly with blur"] = lightly(images[:few], size, 0.5), few
    made["torchvision v2"] = torchvision(images[:few], size), few
    return made


def measured(images: list[np.ndarray], size: int, few: int, repeats: int) -> dict[str, list[float]]:
    """name -> microseconds a view, one number a round."""
    found: dict[str, list[float]] = {}
    made = sides(images, size, few)
    for k in range(repeats + 1):
        for name, (views, n) in made.items():
            begun = time.process_time()
            views()
            if k:  # the first round warms caches up
                found.setdefault(name, []).append((time.process_time() - begun) / (2 * n) * 1e6)
    return found


def rows(size: int, batch: int, found: dict[str, list[float]]) -> list[str]:
    """Of the table."""
    ours = statistics.median(found["kontrast"])
    bar = BARS[min((s for s in BARS if s >= size), default=224)]
    made = []
    for name in ("kontrast", *OTHERS):
        if name not in found:
            made.append(f"| {size} px | {name} | not installed | | | |")
            continue
        took = found[name]
        middle = statistics.median(took)
        said = f"{'pass' if middle / ours >= bar else '**FAIL**'} (at least {bar:g})" if name == "lightly" else ""
        times = f"{middle / ours:.1f}" if name != "kontrast" else f"batch of {batch}"
        made.append(f"| {size} px | {name} | {middle:.1f} | {min(took):.1f} to {max(took):.1f} | {times} | {said} |")
    return made


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path, nargs="?")
    asked.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 224])
    asked.add_argument("--batch", type=int, default=256, help="pictures that kontrast draws at once")
    asked.add_argument("--few", type=int, default=64, help="pictures for those who take one after the other")
    asked.add_argument("--repeats", type=int, default=7)
    told = asked.parse_args()
    torch.set_num_threads(1)
    lines = []
    for size in told.sizes:
        images = pictures(told.data, told.batch, size) if told.data else generated(told.batch, size)
        found = measured(images, size, min(told.few, told.batch), told.repeats)
        for line in rows(size, told.batch, found):
            print(line, file=sys.stderr, flush=True)
            lines.append(line)
    print("| size | who | core microseconds a view, median | from to | times kontrast | |\n|---|---|---|---|---|---|")
    print("\n".join(lines))
    named = ["kontrast", *(["lightly"] if find_spec("lightly") else []), "torch", "torchvision", "pillow"]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in named)
    print(f"\n{versions}; 1 thread of {os.cpu_count()} cores; {told.data.name if told.data else 'generated pictures'}")


if __name__ == "__main__":
    main()
