"""A whole training step of kontrast against bare loops over ready tensors, and against lightly's documented loop.

    python -m benchmarks.step [DATA] --networks default resnet18 --steps 30 --rounds 3 --threads 2

bare PyTorch: a loop as one writes it over ready tensors, in a process of its own as a script is: the same encoder and
    head, autocast and memory layout, NT-Xent in four lines, torch.optim.AdamW; views lie drawn in memory, nothing is
    clipped, judged or written.
bare, kontrast's parts: the same loop with kontrast's loss (`kontrast.losses.functional.ntxent`) and optimiser (fused),
    in kontrast's process, so that it too keeps its pages (`training.memory_pages`): what is left is kontrast's loop.
kontrast: `kontrast train`: rows from a cache on disk, views drawn, relations, clipping, health, moments written.
lightly: its SimCLR example: the same encoder and head in plain float32, NTXentLoss, SGD, a DataLoader of PIL views.

kontrast and the bare loops take turns step by step, lightly follows, round after round, all made anew; the first steps
of each are left out. `waiting`: the share of a step that kontrast's loop waits for data, by its own account, in a run
by itself; `views`: the share that drawing both views takes by itself.
DATA: as in benchmarks.time_to_quality; without it, generated pictures.
"""

import argparse
import contextlib
import multiprocessing
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.contestants import plain_ntxent
from benchmarks.simclr import Backbone, Pooled, generated, kontrast_run, lightly_loader, load
from kontrast.data.dataset.drawing import Drawing
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.resnet import ResNet
from kontrast.layers.head import Head
from kontrast.losses.functional import ntxent
from kontrast.modalities.image.image import Image
from kontrast.reporting.logger import Logger
from kontrast.runs.model import Model
from kontrast.training.loop import StepRecord
from kontrast.training.optimiser import groups_of
from kontrast.training.optimisers.adamw import AdamW
from kontrast.training.precision import PrecisionMode, pinned, prepare

Loss = Callable[[Tensor, Tensor], Tensor]
COLD = 5  # steps left out
SCRIPT = "bare PyTorch"  # the bar
REST = 0.01  # seconds after which no thread spins any more for work from the loop before
NETWORKS: dict[str, tuple[Callable[[], Encoder], bool]] = {
    "default": (lambda: ResNet(channels=3), False),
    "resnet18": (Backbone, True),
}


@dataclass
class Times(Logger):
    """Seconds of kontrast's steps, from Moment to Moment, its shares of waiting; and what `others`, which run between
    two steps, tell of theirs."""

    others: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    betweens: dict[str, list[float]] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    last: float = 0.0

    def moment(self, moment: StepRecord) -> None:
        """A step more."""
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.waits.append(moment.wait)
        for name, other in self.others.items():
            time.sleep(REST)
            self.betweens.setdefault(name, []).append(other())
        time.sleep(REST if self.others else 0)
        self.last = time.perf_counter()


def ours(
    told: "Told", network: str, mode: PrecisionMode | None, others: Mapping[str, Callable[[], float]]
) -> tuple[Times, PrecisionMode]:
    """The steps of a run, and the mode that it chose, or was given."""
    heard = Times(others)
    plan: dict[str, Any] = {"steps": told.steps + COLD, "batch": told.batch, "compile": "off"}
    if mode:
        plan |= {"precision": "bf16" if mode.bf16 else "32", "channels_last": "on" if mode.channels_last else "off"}
    encoder, named = NETWORKS[network]
    settled = kontrast_run(told.images, heard, _nothing, plan=plan, network=encoder if named else None)
    for taken in (heard.seconds, heard.waits, *heard.betweens.values()):
        del taken[:COLD]
    return heard, pinned(settled.plan)


def _nothing(model: Model) -> None:
    return


def bare(
    batch: int, network: str, mode: PrecisionMode, loss: Loss, made: Callable[[nn.Module], Optimizer]
) -> Callable[[], float]:
    """A step over ready views, which tells its seconds."""
    torch.manual_seed(0)
    encoder = Pooled(NETWORKS[network][0]())
    model = nn.Sequential(encoder, Head(in_width=encoder.width, hidden=512, width=128))
    optimiser = made(model)
    called = prepare(model, mode)
    layout = torch.channels_last if mode.channels_last else torch.contiguous_format
    one, two = (torch.randn(batch, 3, 32, 32).to(memory_format=layout) for _ in range(2))

    def step() -> float:
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mode.bf16):
            z1, z2 = called(one), called(two)
        value = loss(z1.float(), z2.float())
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        return time.perf_counter() - began

    return step


def script(batch: int, network: str, mode: PrecisionMode) -> Callable[[], float]:
    """Of PyTorch's parts alone."""
    labels = torch.arange(batch)  # NT-Xent of the contestants takes labels as all of them do

    def usual(model: nn.Module) -> Optimizer:
        return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)

    return bare(batch, network, mode, lambda x, y: plain_ntxent(x, y, labels), usual)


def parts(batch: int, network: str, mode: PrecisionMode) -> Callable[[], float]:
    """With kontrast's loss and optimiser."""

    def own(model: nn.Module) -> Optimizer:
        return AdamW().build(groups_of(model, 2e-3, 0.05), 2e-3)

    return bare(batch, network, mode, partial(ntxent, temperature=0.2), own)


@contextlib.contextmanager
def apart(*what: Any, threads: int) -> Iterator[Callable[[], float]]:
    """`script` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_answer, args=(there, threads, *what), daemon=True)
    process.start()
    there.close()

    def step() -> float:
        here.send(True)
        return here.recv()

    try:
        step()
        yield step
    finally:
        here.close()
        process.join()


def _answer(asked: Connection, threads: int, *what: Any) -> None:
    torch.set_num_threads(threads)
    step = script(*what)
    with contextlib.suppress(EOFError):
        while asked.recv():
            asked.send(step())


def theirs(images: np.ndarray, batch: int, steps: int, network: str, workers: int) -> list[float]:
    """lightly's loop; an epoch follows the other, as there."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead

    encoder = Pooled(NETWORKS[network][0]())
    model, criterion = nn.Sequential(encoder, SimCLRProjectionHead(encoder.width, 512, 128)), NTXentLoss()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
    loader = lightly_loader(images, np.zeros(len(images), np.int64), batch, workers)
    taken, last = [], time.perf_counter()
    for one, two in _endless(loader):
        loss = criterion(model(one), model(two))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        now = time.perf_counter()
        taken.append(now - last)
        last = now
        if len(taken) == steps + COLD:
            break
    return taken[COLD:]


def _endless(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        for views, _, _ in loader:
            yield views


def drawing(images: np.ndarray, batch: int) -> float:
    """The seconds that both views of a batch take by themselves, the median of 9."""
    modality = Image(size=32, channels=3, mean=[0.5] * 3, std=[0.25] * 3)
    x = torch.from_numpy(images[:batch]).permute(0, 3, 1, 2).contiguous()
    some = Batch({"image": View("image", x)}, {"id": torch.arange(len(x))})
    draw = Drawing({"image.1": ViewSpec("image"), "image.2": ViewSpec("image")}, {"image": modality}, seed=0)
    taken = []
    for epoch in range(9):
        begun = time.perf_counter()
        draw(some, epoch)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


@dataclass(frozen=True)
class Told:
    """What was asked for."""

    images: np.ndarray
    batch: int
    steps: int
    rounds: int
    threads: int


def rows(network: str, told: Told) -> list[str]:
    """The table's lines of a network."""
    alone, mode = ours(told, network, None, {})
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    over: defaultdict[str, list[float]] = defaultdict(list)
    for k in range(told.rounds):
        made = (told.batch, network, mode)  # anew: where its memory lies makes a network faster or slower
        with apart(*made, threads=told.threads) as alone_there:
            others = [(SCRIPT, alone_there), ("bare, kontrast's parts", parts(*made))]
            heard, _ = ours(told, network, mode, dict(others[:: (-1) ** k]))
        seconds["kontrast"] += heard.seconds
        for name, taken in sorted(heard.betweens.items()):
            seconds[name] += taken
            over[name].append(sum(heard.seconds) / sum(taken) - 1)
        if find_spec("lightly"):
            seconds["lightly"] += theirs(told.images, told.batch, told.steps, network, told.threads)
        _say(f"{network}, round {k + 1}: " + ", ".join(f"{more[-1]:+.1%} over {name}" for name, more in over.items()))
    waited = statistics.mean(alone.waits)
    views = drawing(told.images, told.batch) / statistics.median(seconds["kontrast"])
    said = {name: _over(name, more) for name, more in over.items()} | {
        "kontrast": f"{PrecisionMode(mode.bf16, mode.channels_last).words}, as the bare ones; "
        f"waiting {waited:.1%}, under 3 %: {_passed(waited < 0.03)}; views {views:.1%}",
        "lightly": "float32",
    }
    lines = []
    for name in (*over, "kontrast", "lightly"):
        if not (taken := seconds[name]):
            lines.append(f"| {network} | {name} | not installed | | | |")
            continue
        low, middle, high = np.quantile(taken, [0.1, 0.5, 0.9]) * 1000
        times = middle / 1000 / statistics.median(seconds[SCRIPT])
        lines.append(f"| {network} | {name} | {middle:.1f} | {low:.1f} to {high:.1f} | {times:.2f} | {said[name]} |")
    return lines


def _over(name: str, rounds: list[float]) -> str:
    """How much longer, the median of the rounds; of a script, whether that is little enough."""
    more = statistics.median(rounds)
    words = f"kontrast {more:+.1%} ({min(rounds):+.1%} to {max(rounds):+.1%})"
    return f"{words}, at most +5 %: {_passed(more <= 0.05)}" if name == SCRIPT else words


def _passed(passed: bool) -> str:
    return "pass" if passed else "**FAIL**"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path, nargs="?")
    asked.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    asked.add_argument("--rows", type=int, default=5120, help="pictures")
    asked.add_argument("--batch", type=int, default=256)
    asked.add_argument("--steps", type=int, default=30, help="a round")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--threads", type=int, default=2, help="of torch, and workers of lightly's loader")
    given = asked.parse_args()
    torch.set_num_threads(given.threads)
    images = (load(given.data, "train") if given.data else generated(given.rows))[0][: given.rows]
    told = Told(images, given.batch, given.steps, given.rounds, given.threads)
    lines = [line for network in given.networks for line in rows(network, told)]
    print("| network | loop | ms a step, median | 10 to 90 % | times bare | |\n|---|---|---|---|---|---|")
    print("\n".join(lines))
    named = ["kontrast", *(["lightly"] if find_spec("lightly") else []), "torch"]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in named)
    print(f"\n{versions}; {given.threads} threads, {os.cpu_count()} cores; batches of {given.batch} at 32 px")


if __name__ == "__main__":
    main()
