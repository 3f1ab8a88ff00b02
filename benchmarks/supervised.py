"""SupCon on labelled pictures: kontrast's recipe beside plain loops and a classifier, at equal processor time.

    python -m benchmarks.supervised --data FOLDER --seconds 120 --seeds 2

Contestants: `kontrast train --recipe supcon`; lightly's documented loop (transform, ResNet-18 of torchvision, head
and optimiser) with the SupConLoss of pytorch-metric-learning, for lightly has none; the same loss on random crops and
flips of torchvision with kontrast's default ResNet; a cross-entropy classifier of the same ResNet and the same crops,
by the features below its last layer. One core; the probe is that of the league, outside of kontrast.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import kontrast as kt
from benchmarks.league.contestant import Budget
from benchmarks.league.ours import processor_time
from benchmarks.league.plain import batches, in_parts
from benchmarks.league.probe import labelled
from benchmarks.simclr import MEAN, STD, Backbone, Pooled, load
from kontrast.encoders.resnet import ResNet
from kontrast.layers.head import Head

Embed = Callable[[np.ndarray], np.ndarray]
BATCH = 256


def kontrast_supcon(images: np.ndarray, labels: np.ndarray, budget: Budget, seed: int, folder: Path) -> Embed:
    """The recipe with no other option than the time."""
    budget.begin()
    with processor_time():
        run = kt.train(
            {"image": images, "label": labels},
            recipe="supcon",
            fields={"image": "image", "label": "label"},
            minutes=budget.seconds / 60,
            settings={"source.held_out": 0.0},
            seed=seed,
            out=folder / "run",
        )
    return lambda x: run.embed({"image": x}).z["image"]


def lightly_supcon(images: np.ndarray, labels: np.ndarray, budget: Budget, seed: int, folder: Path) -> Embed:
    """SimCLRTransform, resnet18, SimCLRProjectionHead, SGD of .06 with a cosine, SupConLoss at .1."""
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms import SimCLRTransform
    from pytorch_metric_learning.losses import SupConLoss

    budget.begin()
    transform, pictures = SimCLRTransform(input_size=32, gaussian_blur=0.0), [Image.fromarray(x) for x in images]

    def views(index: np.ndarray) -> tuple[Tensor, Tensor]:
        drawn = [transform(pictures[i]) for i in index]
        return torch.stack([d[0] for d in drawn]), torch.stack([d[1] for d in drawn])

    backbone = Pooled(Backbone())
    head = SimCLRProjectionHead(512, 512, 128)
    loop = _Loop(backbone, head, _sgd(backbone, head), 0.06)
    loss = SupConLoss(temperature=0.1)
    loop.run(views, labels, lambda z, y: loss(z, y), budget, seed, len(images))
    return _embedder(backbone)


def pml_supcon(images: np.ndarray, labels: np.ndarray, budget: Budget, seed: int, folder: Path) -> Embed:
    """Crops and flips, kontrast's default ResNet, AdamW at .002, SupConLoss at .1."""
    from pytorch_metric_learning.losses import SupConLoss

    budget.begin()
    backbone = Pooled(ResNet(channels=3, size=32))
    head = Head(in_width=backbone.width, hidden=512, width=128)
    loop = _Loop(backbone, head, _adamw(backbone, head), 2e-3)
    loss, crops = SupConLoss(temperature=0.1), _Crops(images)
    loop.run(lambda index: (crops(index), crops(index)), labels, lambda z, y: loss(z, y), budget, seed, len(images))
    return _embedder(backbone)


def cross_entropy(images: np.ndarray, labels: np.ndarray, budget: Budget, seed: int, folder: Path) -> Embed:
    """The same ResNet, crops and optimiser under a linear classifier."""
    budget.begin()
    backbone = Pooled(ResNet(channels=3, size=32))
    head = nn.Linear(backbone.width, int(labels.max()) + 1)
    loop, crops = _Loop(backbone, head, _adamw(backbone, head), 2e-3), _Crops(images)
    loop.run(lambda index: (crops(index),), labels, F.cross_entropy, budget, seed, len(images))
    return _embedder(backbone)


class _Crops:
    """Random crops of 20 to 100 % and flips, one draw per picture, by torchvision."""

    def __init__(self, images: np.ndarray) -> None:
        from torchvision.transforms import v2

        self.images = _tensor(images)
        self.one = v2.Compose([v2.RandomResizedCrop(32, (0.2, 1.0), antialias=True), v2.RandomHorizontalFlip()])

    def __call__(self, index: np.ndarray) -> Tensor:
        return torch.stack([self.one(self.images[i]) for i in index])


class _Loop:
    """A plain loop until the time is up, its learning rate a cosine over it."""

    def __init__(self, backbone: nn.Module, head: nn.Module, optimiser: torch.optim.Optimizer, rate: float) -> None:
        self.model, self.optimiser, self.rate, self.steps = nn.Sequential(backbone, head).train(), optimiser, rate, 0

    def run(
        self,
        views: Callable[[np.ndarray], tuple[Tensor, ...]],
        labels: np.ndarray,
        loss: Callable[[Tensor, Tensor], Tensor],
        budget: Budget,
        seed: int,
        rows: int,
    ) -> None:
        y = torch.from_numpy(labels).long()
        for index in batches(rows, BATCH, seed):
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate * (1 + math.cos(math.pi * budget.share)) / 2
            drawn = views(index)
            value = loss(self.model(torch.cat(drawn)), y[index].repeat(len(drawn)))
            self.optimiser.zero_grad()
            value.backward()
            self.optimiser.step()
            self.steps += 1
            if budget.over:
                return


def _sgd(backbone: nn.Module, head: nn.Module) -> torch.optim.Optimizer:
    parameters = [*backbone.parameters(), *head.parameters()]
    return torch.optim.SGD(parameters, lr=0.06, momentum=0.9, weight_decay=5e-4)


def _adamw(backbone: nn.Module, head: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW([*backbone.parameters(), *head.parameters()], lr=2e-3, weight_decay=0.05)


def _tensor(images: np.ndarray) -> Tensor:
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))
    return (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std


def _embedder(backbone: nn.Module) -> Embed:
    backbone.eval()
    return lambda x: in_parts(backbone, _tensor(x))


CONTESTANTS = {f.__name__: f for f in (kontrast_supcon, lightly_supcon, pml_supcon, cross_entropy)}


def main() -> None:
    """Train each, probe each, print a table in markdown."""
    asked = argparse.ArgumentParser(
        prog="benchmarks.supervised", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("--data", type=Path, required=True, help="the folder that holds cifar10/")
    asked.add_argument("--rows", type=int, default=10_000)
    asked.add_argument("--seconds", type=float, default=120.0)
    asked.add_argument("--seeds", type=int, default=2)
    asked.add_argument("--contestants", nargs="*", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    told = asked.parse_args()
    torch.set_num_threads(1)
    images, labels = load(told.data / "cifar10", "train")
    some = np.random.default_rng(0).permutation(len(images))[: told.rows]  # the file is in the order of its classes
    images, labels = images[some], labels[some]
    test, answers = load(told.data / "cifar10", "test")
    print("| contestant | seed | kNN | linear | seconds |\n|---|---|---|---|---|")
    for seed in range(told.seeds):
        for name in told.contestants:
            torch.manual_seed(seed)
            budget, began = Budget(told.seconds), time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                embed = CONTESTANTS[name](images, labels, budget, seed, Path(folder))
                used = time.process_time() - began
                found = labelled(embed(images[:3000]), labels[:3000], embed(test), answers)
            cells = " | ".join(f"{hits.mean():.3f}" for hits in found.values())
            print(f"| {name} | {seed} | {cells} | {used:.0f} |", flush=True)


if __name__ == "__main__":
    main()
