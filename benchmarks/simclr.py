"""SimCLR on pictures of 32 pixels, as lightly documents it and as kontrast runs it: what the benchmarks compare."""

import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pil
from torch import Tensor, nn

from kontrast.core.experiment import Experiment, Source
from kontrast.core.task_choice import MAIN, one_task
from kontrast.data.dataset.dataset import prepare
from kontrast.data.modality import Modality
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import Encoders
from kontrast.encoders.features import Features
from kontrast.recipes.choosing import choose
from kontrast.reporting.logger import Logger
from kontrast.runs.build import learner_of, modalities_of
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from kontrast.runs.pipeline.train import train
from kontrast.tasks.contrastive.simclr import SimCLR
from kontrast.training.launcher import alone
from kontrast.training.learner import Learner

SIDE = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, lightly's default


class Backbone(Encoder):
    """torchvision's resnet18 without its last layer, as lightly's example has it: (B, 3, S, S) -> (B, 512)."""

    def __init__(self) -> None:
        super().__init__()
        import torchvision

        self.net = nn.Sequential(*list(torchvision.models.resnet18().children())[:-1])
        self.width = 512

    def forward(self, x: Tensor) -> Features:
        """Pooled features."""
        return Features(self.net(x).flatten(1))


class Pooled(nn.Module):
    """An encoder's pooled features, for loops that expect a plain network."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.width = encoder, encoder.width

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, width)."""
        return self.encoder(x).pooled


class Pictures(torch.utils.data.Dataset[tuple[list[Tensor], int]]):
    """What torchvision's CIFAR10 is: arrays in memory, a PIL picture transformed when asked."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Callable[[Pil.Image], list[Tensor]]) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[list[Tensor], int]:
        return self.transform(Pil.fromarray(self.images[index])), int(self.labels[index])


def lightly_loader(images: np.ndarray, labels: np.ndarray, batch: int, workers: int) -> Any:
    """Batches of ((view 1, view 2), label, name), as lightly's SimCLR example on CIFAR-10 loads them."""
    from lightly.data import LightlyDataset
    from lightly.transforms import SimCLRTransform

    transform = SimCLRTransform(input_size=SIDE, gaussian_blur=0.0)
    data = LightlyDataset.from_torch_dataset(Pictures(images, labels, transform))
    return torch.utils.data.DataLoader(data, batch_size=batch, shuffle=True, drop_last=True, num_workers=workers)


def kontrast_run(
    images: np.ndarray,
    logger: Logger,
    started: Callable[[Model], None],
    *,
    seed: int = 0,
    plan: dict[str, Any] | None = None,
    network: Callable[[], Encoder] | None = None,
) -> Experiment:
    """Train as `kontrast train` does on (n, 32, 32, 3) uint8 pictures: without its judging, in a folder that is gone
    afterwards. Returns the experiment with what was found to be faster.

    started: told of the model before its first step. plan: what differs from the default. network: an encoder and
    lightly's head instead of the default ones.
    """
    with tempfile.TemporaryDirectory() as scratch, alone(torch.device("cpu")) as fleet:
        folder = Folder.fresh(Path(scratch) / "run", "benchmark")
        frame = open_frame(images, cache=folder.cache)
        fields = infer(frame, {}, None)
        asked = Experiment(tasks=one_task(""), source=Source(held_out=0.0), seed=seed)
        experiment, _ = choose(fields, asked, None)
        experiment = replace(experiment, plan=replace(experiment.plan, **(plan or {})))
        folder.write("experiment.json", experiment.to_json())
        modalities = modalities_of(experiment)
        data = prepare(frame, fields, modalities, source=experiment.source, seed=seed, cache=folder.cache, fit=True)
        learner = _with(network, modalities, seed) if network else learner_of(experiment, modalities)
        model = Model(experiment, modalities, learner)
        started(model)
        train(model, data, folder, logger, fleet, resume=False)
        return folder.experiment()


def _with(network: Callable[[], Encoder], modalities: dict[str, Modality], seed: int) -> Learner:
    torch.manual_seed(seed)
    (field,) = modalities
    encoder = network()
    info = EncoderInfo({field: encoder.width}, networks={field: "image"})
    return Learner(Encoders({"image": encoder}, info.networks, info), {MAIN: SimCLR(info, hidden=512, width=128)}, MAIN)


def load(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 32, 32, 3) uint8 and labels (n,) of `part`/CLASS/*.png, or of packed JPEGs, `*part*.npz` (blob, off, y)."""
    packed = sorted(folder.glob(f"*{part}*.npz"))
    if packed:
        with np.load(packed[0], allow_pickle=False) as archive:
            blob, off, names = archive["blob"], archive["off"], archive["y"].tolist()
        images = [_pixels(io.BytesIO(blob[a:b].tobytes())) for a, b in pairwise(off)]
    else:
        files = sorted(p for p in (folder / part).glob("*/*") if p.is_file())
        images, names = [_pixels(p) for p in files], [p.parent.name for p in files]
    if not images:
        sys.exit(f"{folder}: neither {part}/CLASS/*.png nor *{part}*.npz found.")
    return np.stack(images), np.unique(names, return_inverse=True)[1]


def generated(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise of 4 x 4 colours, enlarged, in place of pictures; labels 0."""
    rough = np.random.default_rng(0).integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    return rough.repeat(SIDE // 4, 1).repeat(SIDE // 4, 2), np.zeros(n, np.int64)


def _pixels(file: Path | io.BytesIO) -> np.ndarray:
    image = Pil.open(file).convert("RGB")
    return np.asarray(image if image.size == (SIDE, SIDE) else image.resize((SIDE, SIDE)))
