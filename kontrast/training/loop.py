"""The loop: yields a Moment a step. Who listens writes, draws and stops; nothing here knows a file or a screen."""

import contextlib
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kontrast.core.experiment import Plan
from kontrast.core.shards import norm, split_as, whole
from kontrast.data.dataset.reader import Batch, Reader, ahead, draw
from kontrast.data.samplers.sampler import Sampler
from kontrast.methods.method import Method
from kontrast.training.clock import watched
from kontrast.training.health import Health, examine
from kontrast.training.launcher import Launcher
from kontrast.training.precision import PrecisionMode
from kontrast.training.step import Outcome, step
from kontrast.training.threads import Threads


@dataclass(frozen=True)
class StepRecord:
    """What is known after a step. total: steps of the whole run as planned now. rate: rows a second, over the last
    steps.

    threads: that this step was computed with; 0 in runs of before that was noted.
    wait: share of the time spent waiting for data. negatives: candidates that repelled, an anchor. twins: duplicates
    that were masked, in this batch. gradient: its norm before clipping. health: now and then.
    chance: the loss of embeddings that know nothing, None where a loss has no such value.
    """

    step: int
    total: int
    epoch: int
    loss: float
    terms: dict[str, float]
    rate: float
    wait: float
    seconds: float
    learning_rate: float
    gradient: float
    anchors: float
    negatives: float
    twins: int
    health: Health | None = None
    threads: int = 0
    chance: float | None = None


class NotFinite(ArithmeticError):
    """The loss or the gradient of a step is not a number; `batch` is what it was computed from."""

    def __init__(self, step: int, loss: float, gradient: float, batch: Batch) -> None:
        super().__init__(f"step {step}: loss {loss}, gradient norm {gradient}")
        self.step, self.loss, self.gradient, self.batch = step, loss, gradient, batch


@dataclass
class TrainState:
    """All that moves in training, so that a checkpoint of it continues bit for bit.

    encode: the method as the fleet wrapped it; no_sync: a context in which gradients stay on their rank. spare: where
    parameters are split over ranks, a copy of the method that can hold them whole. allowed: seconds of training, where
    minutes end the run. totals: step -> total as planned
    anew then, where this repeats a run whose total followed the clock. turned: the number of threads, under
    "threads", where it is not the usual one.
    """

    method: Method
    encode: nn.Module
    no_sync: Callable[[], AbstractContextManager[object]]
    optimiser: torch.optim.Optimizer
    plan: Plan
    mode: PrecisionMode
    total: int
    seed: int
    fleet: Launcher
    allowed: float = 0.0
    spare: Method | None = None
    step: int = 0
    seconds: float = 0.0
    totals: Mapping[int, int] = field(default_factory=dict)
    turned: dict[str, int] = field(default_factory=dict)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors (for safetensors) and plain numbers (for JSON). All ranks must ask: what is split is gathered."""
        tensors = {f"method.{k}": whole(v) for k, v in self.method.state_dict().items()}
        for name, p in self.method.named_parameters():
            slots = self.optimiser.state.get(p, {})
            tensors |= {f"optimiser.{name}.{k}": whole(torch.as_tensor(v)) for k, v in slots.items()}
        numbers = {
            "step": self.step,
            "total": self.total,
            "seconds": self.seconds,
            "allowed": self.allowed,
            **self.turned,
        }
        return tensors, numbers

    def trained(self) -> Method:
        """The method with all of its parameters. All ranks must ask."""
        if self.spare is None:
            return self.method
        self.spare.load_state_dict({k: whole(v) for k, v in self.method.state_dict().items()})
        return self.spare.to(self.fleet.device)

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Back from `state`."""
        own = {k.removeprefix("method."): v for k, v in tensors.items() if k.startswith("method.")}
        now = self.method.state_dict()
        self.method.load_state_dict({k: split_as(v, now[k]) if k in now else v for k, v in own.items()})
        learned = dict(self.method.named_parameters())
        order = [id(p) for group in self.optimiser.param_groups for p in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for path, value in tensors.items():
            if path.startswith("optimiser."):
                name, slot = path.removeprefix("optimiser.").rsplit(".", 1)
                p = learned[name]
                part = split_as(value, p) if value.shape == p.shape else value
                # As the parameter lies in memory: sums over a slot else add up in another order.
                if part.shape == p.shape:
                    part = torch.empty_like(p, dtype=part.dtype).copy_(part)
                slots.setdefault(order.index(id(p)), {})[slot] = part
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})
        self.step, self.total, self.seconds = numbers["step"], numbers["total"], numbers["seconds"]
        # Runs of before the minutes were divided trained for all of them.
        self.allowed = numbers.get("allowed", 60 * (self.plan.minutes or 0.0))


def pretrain(
    course: TrainState, reader: Reader, order: Sampler, *, every: int = 20, threads: Threads | None = None
) -> Iterator[StepRecord]:
    """Train until `course.total` steps are done, yielding after each; health every `every` steps and at the last.

    With `plan.minutes` the total follows the measured speed: it is set anew after 2, 4, 8 ... steps, for the first ones
    are the trial, and at each twentieth of the run. Raises NotFinite.
    """
    method, plan, fleet, ranks = course.method, course.plan, course.fleet, course.fleet.ranks
    usual = [group["lr"] for group in course.optimiser.param_groups]
    batches = _drawn(course, reader, order)
    ends = contextlib.ExitStack()
    time_ = ends.enter_context(watched())
    clock, started, earlier = _Clock(time_.now), time_.now(), course.seconds
    method.train()
    try:
        while course.step < course.total:
            batch, waited = next(batches)
            factor = schedule(course.step / course.total, plan.warmup)
            for group, rate in zip(course.optimiser.param_groups, usual, strict=True):
                group["lr"] = rate * factor
            course.optimiser.zero_grad(set_to_none=True)
            outcome = step(
                method,
                course.encode,
                batch,
                ranks,
                seed=course.seed + 1_000_003 * course.step + 7919 * ranks.rank,
                passes=plan.passes,
                no_sync=course.no_sync,
            )
            fleet.average(method)
            gradient = _clip(course.optimiser, plan.clip)
            if not (math.isfinite(outcome.loss) and math.isfinite(gradient)):
                raise NotFinite(course.step, outcome.loss, gradient, batch)
            course.optimiser.step()
            method.after_update(outcome.rows, ranks)
            course.step += 1
            course.seconds = earlier + time_.now() - started
            clock.tick(len(batch) * ranks.world, waited)
            course.total = course.totals.get(course.step, course.total)
            if plan.minutes and _replanned(course.step, course.total):
                left = max(0.0, course.allowed - course.seconds)
                course.total = course.step + int(
                    ranks.max(torch.tensor([left / clock.seconds_a_step], device=fleet.device))
                )
            due = course.step % every == 0 or course.step >= course.total or course.step <= 1
            epoch = order.epoch(course.step - 1)
            moment = _moment(course, outcome, batch, clock, epoch, gradient, usual[0] * factor, due)
            if threads:
                threads.after(course.step)
                course.turned = {} if threads.number == threads.most else {"threads": threads.number}
            yield moment
    finally:
        for group, rate in zip(course.optimiser.param_groups, usual, strict=True):
            group["lr"] = rate
        batches.close()
        ends.close()


def _replanned(step: int, total: int) -> bool:
    """Whether the total is set anew after this step."""
    return (step > 1 and step & (step - 1) == 0) or step % max(1, total // 20) == 0


def _drawn(course: TrainState, reader: Reader, order: Sampler) -> Generator[tuple[Batch, float]]:
    """The batches from the course's step on, their views drawn, each with the seconds that it was waited for."""
    fleet, early = course.fleet, _spare_core(course.fleet)
    draws = course.method.draws()

    def viewed(batch: Batch, step: int) -> Batch:
        return draw(batch, draws, reader.modalities, seed=course.seed, epoch=order.epoch(step))

    def read(step: int) -> Batch:
        batch = reader.read(order.at(step, fleet.ranks.rank, fleet.ranks.world))
        return viewed(batch, step) if early else batch

    ready = ahead(read, course.step, depth=1 if early else 3)  # views are large, rows as they lie in the cache small
    with contextlib.closing(ready):
        for step in itertools.count(course.step):
            began = time.perf_counter()
            batch = next(ready).to(fleet.device)
            waited = time.perf_counter() - began
            yield batch if early else viewed(batch, step), waited


def _spare_core(fleet: Launcher) -> bool:
    """Whether views can be drawn beside the step: on a CPU with more cores than the step has threads. A device draws
    them faster itself, and where all cores are busy a thread more only gets in their way."""
    if fleet.device.type != "cpu":
        return False
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores // fleet.ranks.world > torch.get_num_threads()


def schedule(progress: float, warmup: float) -> float:
    """The factor of the learning rate: linear warm-up, then half a cosine down to 0 (arXiv:1608.03983)."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1 - warmup, 1e-9)))


def twins_in(batch: Batch) -> int:
    """Pairs of different rows of a batch whose content is the same in some field."""
    found = 0
    for name, key in batch.keys.items():
        if name.startswith("content "):
            counts = torch.unique(key, return_counts=True)[1]
            found += int((counts * (counts - 1)).sum()) // 2
    return found


class _Clock:
    """Speed and waiting over the last steps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.last = now, now()
        self.steps: list[tuple[float, int, float]] = []

    def tick(self, rows: int, waited: float) -> None:
        now = self.now()
        # a coarse clock may stand still for a step
        self.steps = [*self.steps[-49:], (max(now - self.last, 1e-9), rows, waited)]
        self.last = now

    @property
    def seconds_a_step(self) -> float:
        return sum(s for s, _, _ in self.steps) / len(self.steps)

    @property
    def rate(self) -> float:
        return sum(n for _, n, _ in self.steps) / sum(s for s, _, _ in self.steps)

    @property
    def wait(self) -> float:
        return sum(w for _, _, w in self.steps) / sum(s for s, _, _ in self.steps)


def _clip(optimiser: torch.optim.Optimizer, largest: float) -> float:
    """The length of the gradient, which is cut to `largest` (0: not at all)."""
    gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    if not gradients:
        return 0.0
    length = float(norm(gradients))
    if (factor := (largest or math.inf) / (length + 1e-6)) < 1:
        for g in gradients:
            g.mul_(factor)
    return length


def _moment(
    course: TrainState,
    outcome: Outcome,
    batch: Batch,
    clock: _Clock,
    epoch: int,
    gradient: float,
    rate: float,
    due: bool,
) -> StepRecord:
    anchors = max(outcome.anchors, 1.0)
    return StepRecord(
        threads=torch.get_num_threads(),
        step=course.step,
        total=course.total,
        epoch=epoch,
        loss=outcome.loss,
        terms=dict(outcome.terms),
        rate=clock.rate,
        wait=clock.wait,
        seconds=course.seconds,
        learning_rate=rate,
        gradient=gradient,
        anchors=outcome.anchors,
        negatives=outcome.negatives / anchors,
        twins=twins_in(batch),
        health=examine(course.method.outline(outcome.rows)) if due else None,
        chance=outcome.chance,
    )
