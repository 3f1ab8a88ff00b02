"""How long until kontrast's encoder is as good as the one lightly's documented SimCLR leaves after 20 epochs?

    python -m benchmarks.time_to_quality DATA --rows 10000 --epochs 20 --seeds 3 --threads 2

DATA: a folder with `train/CLASS/*.png` and `test/CLASS/*.png`, or with packed JPEGs (`*train*.npz`, `*test*.npz` with
`blob`, `off`, `y`). Three arms, one after the other for each seed:

lightly: the loop of its SimCLR example on CIFAR-10, with the optimiser of its tutorial and its benchmark: torchvision's
    resnet18 without its last layer, SimCLRProjectionHead(512, 512, 128), NTXentLoss(), SimCLRTransform(input_size=32,
    gaussian_blur=0), SGD of .06 with momentum .9, weight decay 5e-4 and a cosine, batches of 256 from a DataLoader.
default: kontrast as `kontrast train` runs where nobody names anything, until it reaches lightly's accuracy.
same: kontrast with lightly's backbone and head, for as many epochs of as many rows a batch.

Seconds are wall time from pictures in memory, with all that an arm does for itself (loading, trials of what is faster,
checkpoints) and without judging. One judge for all: the vote of the k = 200 nearest training pictures by cosine,
weighed by exp(similarity / .1), on features of undistorted pictures; lightly's own benchmark judges so.
"""

import argparse
import contextlib
import copy
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.simclr import MEAN, STD, Backbone, Pooled, kontrast_run, lightly_loader, load
from kontrast.reporting.logger import Logger
from kontrast.runs.model import Model
from kontrast.training.loop import StepRecord


@dataclass(frozen=True)
class Task:
    """Pictures (n, 32, 32, 3) uint8 with labels (n,), to train on and to be judged by; how long, and how."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    epochs: int
    batch: int
    every: int
    workers: int


@dataclass(frozen=True)
class Arm:
    """Wall seconds without judging, the accuracy at the end, and the steps it took."""

    seconds: float
    accuracy: float
    steps: int


def knn(features: Callable[[Tensor], Tensor], task: Task) -> float:
    """The share of test pictures that the nearest training pictures name rightly. features: of (B, 3, H, W) bytes."""
    bank, asked = (F.normalize(_in_parts(x, features).float(), dim=1) for x in (task.train, task.test))
    labels = torch.from_numpy(task.train_labels)
    near, index = (asked @ bank.T).topk(min(200, max(1, len(bank) // 10)))
    votes = torch.zeros(len(asked), int(labels.max()) + 1)
    votes.scatter_add_(1, labels[index], (near / 0.1).exp())
    return float((votes.argmax(1) == torch.from_numpy(task.test_labels)).float().mean())


def _in_parts(x: np.ndarray, features: Callable[[Tensor], Tensor]) -> Tensor:
    parts = torch.from_numpy(x).permute(0, 3, 1, 2).split(500)
    with torch.no_grad():
        return torch.cat([features(p.contiguous()) for p in parts])


def lightly_arm(task: Task, seed: int) -> Arm:
    """lightly's documented loop."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead

    torch.manual_seed(seed)
    begun = time.perf_counter()
    loader = lightly_loader(task.train, task.train_labels, task.batch, task.workers)
    backbone, criterion = Pooled(Backbone()), NTXentLoss()
    model = nn.Sequential(backbone, SimCLRProjectionHead(512, 512, 128))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, task.epochs)
    for epoch in range(task.epochs):
        for (one, two), _, _ in loader:
            loss = criterion(model(one), model(two))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        cosine.step()
        _say(f"  lightly, epoch {epoch + 1}: loss {loss.item():.3f}, {time.perf_counter() - begun:.0f} s")
    seconds = time.perf_counter() - begun
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))
    backbone.eval()
    return Arm(seconds, knn(lambda p: backbone((p / 255 - mean) / std), task), task.epochs * len(loader))


class _Reached(Exception):
    """The accuracy that was asked for."""


class Watch(Logger):
    """Judges a copy every so many steps and at the end, its own seconds not counted, and stops the run at `target`."""

    def __init__(self, task: Task, target: float, every: float) -> None:
        self.task, self.target, self.every = task, target, every
        self.begun, self.judging = time.perf_counter(), 0.0
        self.last = Arm(0.0, 0.0, 0)
        self.model: Model | None = None

    def fact(self, name: str, words: str) -> None:
        """What was found to be faster."""
        if name == "computing":
            _say(f"  kontrast: {words}")

    def started(self, model: Model) -> None:
        """What to judge."""
        self.model = model

    def moment(self, moment: StepRecord) -> None:
        """Where it is due."""
        if moment.step % self.every and moment.step < moment.total:
            return
        now = time.perf_counter()
        self.last = Arm(now - self.begun - self.judging, self._accuracy(), moment.step)
        self.judging += time.perf_counter() - now
        _say(f"  kontrast, step {moment.step} of {moment.total}: {self.last.accuracy:.3f}, {self.last.seconds:.1f} s")
        if self.last.accuracy >= self.target:
            raise _Reached

    def _accuracy(self) -> float:
        assert self.model is not None
        ((field, modality),) = self.model.modalities.items()
        learner = copy.deepcopy(self.model.learner).eval()
        return knn(lambda p: learner.embed(field, modality.preprocess(p)), self.task)


def default_arm(task: Task, seed: int, target: float) -> Arm:
    """Until the target."""
    watch = Watch(task, target, task.every)
    with contextlib.suppress(_Reached):
        kontrast_run(task.train, watch, watch.started, seed=seed)
    return watch.last


def same_arm(task: Task, seed: int) -> Arm:
    """Judged at the end alone."""
    watch = Watch(task, math.inf, math.inf)
    plan = {"epochs": task.epochs, "batch": task.batch}
    kontrast_run(task.train, watch, watch.started, seed=seed, plan=plan, network=Backbone)
    return watch.last


def interval(values: list[float], digits: int = 3) -> str:
    """The mean and half the width of its 95 % interval over seeds (Student's t)."""
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return f"{np.mean(values):.{digits}f}"
    half = t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n)
    return f"{np.mean(values):.{digits}f} ± {half:.{digits}f}"


def table(theirs: list[Arm], ours: list[Arm], same: list[Arm]) -> None:
    """The arms, then what is held to a bar."""
    print("| arm | kNN accuracy | seconds | steps |\n|---|---|---|---|")
    for name, arms in (("lightly, documented", theirs), ("kontrast, default", ours), ("kontrast, same", same)):
        seconds, steps = interval([a.seconds for a in arms], 1), np.mean([a.steps for a in arms])
        print(f"| {name} | {interval([a.accuracy for a in arms])} | {seconds} | {steps:.0f} |")
    missed = sum(o.accuracy < t.accuracy for t, o in zip(theirs, ours, strict=True))
    ratios = [o.seconds / t.seconds for t, o in zip(theirs, ours, strict=True)]
    gained = [s.accuracy - t.accuracy for t, s in zip(theirs, same, strict=True)]
    found = interval(ratios) + (f", not reached by {missed} of {len(ours)} seeds" if missed else "")
    print("\n| what | found | bar | |\n|---|---|---|---|")
    print(f"| default: seconds to lightly's accuracy, over its | {found} | <= .2 | {_passed(np.mean(ratios) <= 0.2)} |")
    print(
        f"| same backbone and epochs: accuracy gained | {interval(gained)} | >= 0 | {_passed(np.mean(gained) >= 0)} |"
    )


def _passed(passed: object) -> str:
    return "pass" if passed else "**FAIL**"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    asked.add_argument("--rows", type=int, default=10_000, help="training pictures at most")
    asked.add_argument("--judged", type=int, default=2_000, help="test pictures at most")
    asked.add_argument("--epochs", type=int, default=20)
    asked.add_argument("--batch", type=int, default=256, help="rows a batch of lightly's and of `same`")
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--threads", type=int, default=2, help="of torch, and workers of lightly's loader")
    asked.add_argument("--every", type=int, default=10, help="steps of `default` between two judgements")
    return asked.parse_args()


def main() -> None:
    told = _arguments()
    torch.set_num_threads(told.threads)
    parts = []
    for part, most in (("train", told.rows), ("test", told.judged)):
        images, labels = load(told.data, part)
        some = np.random.default_rng(0).permutation(len(images))[:most]
        parts += [images[some], labels[some]]
    task = Task(*parts, told.epochs, told.batch, told.every, told.threads)
    arms: tuple[list[Arm], list[Arm], list[Arm]] = ([], [], [])
    for seed in range(told.seeds):
        _say(f"seed {seed}: {len(task.train)} training, {len(task.test)} test pictures")
        arms[0].append(lightly_arm(task, seed))
        arms[1].append(default_arm(task, seed, arms[0][-1].accuracy))
        arms[2].append(same_arm(task, seed))
        for name, some_arms in zip(("lightly", "default", "same"), arms, strict=True):
            _say(f"{name}: {some_arms[-1].accuracy:.4f} in {some_arms[-1].seconds:.1f} s")
    table(*arms)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("kontrast", "lightly", "torch", "torchvision"))
    print(
        f"\n{versions}; {told.threads} threads and loader workers, {os.cpu_count()} cores; {told.data.name}, "
        f"{len(task.train)} training and {len(task.test)} test pictures, {told.epochs} epochs of {told.batch} a batch"
    )


if __name__ == "__main__":
    main()
