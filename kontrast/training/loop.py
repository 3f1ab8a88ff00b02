"""Training loop: yields a record per step, and touches neither files nor the screen."""

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

from kontrast.core import renamed
from kontrast.core.clock import Clock
from kontrast.core.experiment import Plan
from kontrast.core.shards import norm, split_as, whole
from kontrast.data.dataset.reader import Reader, ahead
from kontrast.data.samplers.sampler import Sampler
from kontrast.data.view import Batch
from kontrast.encoders.precision_mode import PrecisionMode
from kontrast.training.clock import watched
from kontrast.training.health import Health, examine
from kontrast.training.launcher import Launcher
from kontrast.training.learner import Batches, Learner
from kontrast.training.speed import Speed
from kontrast.training.step import Outcome, step
from kontrast.training.step_rows import rows_of_step
from kontrast.training.threads import Threads
from kontrast.training.weight_average import WeightAverage


@dataclass(frozen=True)
class StepRecord:
    """Measurements of one training step.

    Attributes:
        step: Steps done, counted from 1.
        total: Steps of the whole run, as planned now.
        epoch: Epoch of the step.
        loss: Mean over all ranks.
        terms: Value of each term of the loss.
        rate: Rows per second over the last steps, at most 50.
        wait: Share of time spent waiting for data over the same steps.
        seconds: Seconds of training since the start of the run.
        learning_rate: Of the first parameter group.
        gradient: Norm before clipping.
        anchors: Anchors compared, over all ranks.
        negatives: Negatives per anchor.
        twins: Pairs of duplicates in this batch, which are masked.
        health: Statistics of the embeddings; None if not due at this step.
        threads: Threads that computed the step; 0 in runs recorded before this was noted.
        chance: Loss of uninformative embeddings; None if the loss has no such value.
        skipped: Tasks without an anchor in this step.
        norms: Task -> norm of its gradient with respect to the encoders that tasks share; empty if not measured.
        cosines: Pair of tasks -> cosine of these gradients; empty if not measured.
        factors: Task -> factor that the aggregator gave its loss or gradient; empty if it chooses none.
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
    skipped: tuple[str, ...] = ()
    norms: dict[str, float] = field(default_factory=dict)
    cosines: dict[str, float] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)


class NotFinite(ArithmeticError):
    """Loss or gradient of a step is not finite.

    Attributes:
        step: Steps done before it.
        loss: Its value.
        gradient: Norm of the gradient.
        batches: Batches that it was computed from, by group.
    """

    def __init__(self, step: int, loss: float, gradient: float, batches: Batches) -> None:
        super().__init__(f"step {step}: loss {loss}, gradient norm {gradient}")
        self.step, self.loss, self.gradient, self.batches = step, loss, gradient, batches


@dataclass
class TrainState:
    """All mutable state of training, so that a checkpoint of it resumes bit for bit.

    Attributes:
        learner: Encoders and tasks that are trained.
        encode: The learner as the launcher wrapped it.
        no_sync: Context factory in which gradients stay on their rank.
        optimiser: Optimiser of the learner's parameters.
        plan: Training settings.
        mode: Precision of the encoders.
        total: Steps of the whole run, as planned now.
        seed: Seed of the run.
        fleet: Processes of the run.
        allowed: Seconds of training, if minutes end the run.
        spare: Copy of the learner for all parameters, if they are split over ranks, or for their averages; else None.
        step: Steps done.
        seconds: Seconds of training until now.
        progress: Share of the run that is done; it never falls.
        totals: Step -> total planned then, to repeat a run whose total followed the clock.
        average: Moving average of the weights, which is what is evaluated; None for the weights themselves.
        turned: Number of threads, under "threads", if it is not the usual one.
    """

    learner: Learner
    encode: nn.Module
    no_sync: Callable[[], AbstractContextManager[object]]
    optimiser: torch.optim.Optimizer
    plan: Plan
    mode: PrecisionMode
    total: int
    seed: int
    fleet: Launcher
    allowed: float = 0.0
    spare: Learner | None = None
    step: int = 0
    seconds: float = 0.0
    progress: float = 0.0
    totals: Mapping[int, int] = field(default_factory=dict)
    average: WeightAverage | None = None
    turned: dict[str, int] = field(default_factory=dict)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors (for safetensors) and plain numbers (for JSON) of a checkpoint.

        All ranks must call this, since split parameters are gathered.
        """
        tensors = {f"learner.{k}": whole(v) for k, v in self.learner.state_dict().items()}
        for name, p in self.learner.named_parameters():
            slots = self.optimiser.state.get(p, {})
            tensors |= {f"optimiser.{name}.{k}": whole(torch.as_tensor(v)) for k, v in slots.items()}
        if self.average:
            tensors |= {f"average.{k}": whole(v) for k, v in self.average.tensors.items()}
        numbers = {
            "step": self.step,
            "total": self.total,
            "seconds": self.seconds,
            "allowed": self.allowed,
            "progress": self.progress,
            **self.turned,
        }
        return tensors, numbers

    def trained(self) -> Learner:
        """Learner with all of its parameters, or their averages; all ranks must call this."""
        if self.spare is None:
            return self.learner
        state = self.learner.state_dict()
        state = self.average.over(state) if self.average else state
        self.spare.load_state_dict({k: whole(v) for k, v in state.items()})
        return self.spare.to(self.fleet.device)

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Restores what `state` returned."""
        tensors = renamed.tensors(tensors, "method.")
        own = {k.removeprefix("learner."): v for k, v in tensors.items() if k.startswith("learner.")}
        now = self.learner.state_dict()
        self.learner.load_state_dict({k: split_as(v, now[k]) if k in now else v for k, v in own.items()})
        if self.average:
            parts = {k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")}
            self.average.restore({k: split_as(v, self.average.tensors[k]) for k, v in parts.items()})
        learned = dict(self.learner.named_parameters())
        order = [id(p) for group in self.optimiser.param_groups for p in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for path, value in tensors.items():
            if path.startswith("optimiser."):
                name, slot = path.removeprefix("optimiser.").rsplit(".", 1)
                p = learned[name]
                part = split_as(value, p) if value.shape == p.shape else value
                # Same memory layout as the parameter: otherwise sums over a slot add in another order.
                if part.shape == p.shape:
                    part = torch.empty_like(p, dtype=part.dtype).copy_(part)
                slots.setdefault(order.index(id(p)), {})[slot] = part
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})
        self.step, self.total, self.seconds = numbers["step"], numbers["total"], numbers["seconds"]
        self.progress = numbers.get("progress", self.step / max(self.total, 1))
        # Older checkpoints lack `allowed`: their runs trained for all of the minutes.
        self.allowed = numbers.get("allowed", 60 * (self.plan.minutes or 0.0))


def pretrain(
    course: TrainState,
    reader: Reader,
    orders: Mapping[str, Sampler],
    *,
    every: int = 20,
    threads: Threads | None = None,
) -> Iterator[StepRecord]:
    """Trains until `course.total` steps are done, and yields a record after each step.

    With `plan.minutes` the total follows the measured speed: it is recomputed after 2, 4, 8 ... steps, since the
    first total rests on a short trial, and at each twentieth of the run.

    Args:
        course: State to start from; it is updated in place.
        reader: Reads batches of the training rows.
        orders: Group -> sampler, which chooses the rows of each step. The first one counts the epochs.
        every: Steps between two examinations of health, also done at the first and last step. Default 20.
        threads: Controls the number of threads; None leaves it.

    Raises:
        NotFinite: Loss or gradient of a step is not finite.
    """
    learner, plan, fleet, ranks = course.learner, course.plan, course.fleet, course.fleet.ranks
    usual = [group["lr"] for group in course.optimiser.param_groups]
    drawn, order = _drawn(course, reader, orders), next(iter(orders.values()))
    ends = contextlib.ExitStack()
    time_ = ends.enter_context(watched())
    clock, started, earlier = Speed(time_.now), time_.now(), course.seconds
    learner.train()
    try:
        while course.step < course.total:
            batches, waited = next(drawn)
            course.progress = max(course.progress, course.step / course.total)
            learner.begin(Clock(course.step, course.progress))
            factor = schedule(course.step / course.total, plan.warmup)
            for group, rate in zip(course.optimiser.param_groups, usual, strict=True):
                group["lr"] = rate * factor
            course.optimiser.zero_grad(set_to_none=True)
            outcome = step(
                learner,
                course.encode,
                batches,
                ranks,
                seed=course.seed + 1_000_003 * course.step,
                passes=plan.passes,
                no_sync=course.no_sync,
                measure=measured(course.step, course.total),
            )
            fleet.average(learner)
            gradient = _clip(course.optimiser, plan.clip)
            if not (math.isfinite(outcome.loss) and math.isfinite(gradient)):
                raise NotFinite(course.step, outcome.loss, gradient, batches)
            course.optimiser.step()
            learner.after_update(outcome.rows, ranks)
            if course.average:
                course.average.update(learner, course.step)
            course.step += 1
            course.seconds = earlier + time_.now() - started
            clock.tick(sum(map(len, batches.values())) * ranks.world, waited)
            course.total = course.totals.get(course.step, course.total)
            if plan.minutes and replanned(course.step, course.total):
                left = max(0.0, course.allowed - course.seconds)
                course.total = course.step + int(
                    ranks.max(torch.tensor([left / clock.seconds_a_step], device=fleet.device))
                )
            due = course.step % every == 0 or course.step >= course.total or course.step <= 1
            epoch = order.epoch(course.step - 1)
            moment = _moment(course, outcome, batches, clock, epoch, gradient, usual[0] * factor, due)
            if threads:
                threads.after(course.step)
                course.turned = {} if threads.number == threads.most else {"threads": threads.number}
            yield moment
    finally:
        for group, rate in zip(course.optimiser.param_groups, usual, strict=True):
            group["lr"] = rate
        drawn.close()
        ends.close()


def measured(step: int, total: int) -> bool:
    """Whether the gradient of each task is measured at this step, counted from 0: at the first, and at most 2 %."""
    return step % max(50, total // 20) == 0


def replanned(step: int, total: int) -> bool:
    """Whether the total is recomputed after this step."""
    return (step > 1 and step & (step - 1) == 0) or step % max(1, total // 20) == 0


def _drawn(course: TrainState, reader: Reader, orders: Mapping[str, Sampler]) -> Generator[tuple[Batches, float]]:
    """Batches from the current step on, with augmented views and the seconds waited for each."""
    fleet, early = course.fleet, spare_core(course.fleet)
    drawn, drawings = course.learner.drawn, course.learner.drawings(reader.modalities, course.seed)

    def viewed(batches: Batches, step: int) -> Batches:
        return {group: drawings[group](batch, orders[group].epoch(step), step) for group, batch in batches.items()}

    def read(step: int) -> Batches:
        ranks = fleet.ranks
        batches = {
            group: rows_of_step(reader, order, drawn[group], step, ranks.rank, ranks.world)
            for group, order in orders.items()
        }
        return viewed(batches, step) if early else batches

    ready = ahead(read, course.step, depth=1 if early else 3)  # views are large, cached rows are small
    with contextlib.closing(ready):
        for step in itertools.count(course.step):
            began = time.perf_counter()
            batches = {group: batch.to(fleet.device) for group, batch in next(ready).items()}
            waited = time.perf_counter() - began
            yield batches if early else viewed(batches, step), waited


def spare_core(fleet: Launcher) -> bool:
    """Whether views can be augmented alongside the step: on a CPU with idle cores.

    A GPU augments faster itself, and if all cores are busy another thread slows the step.
    """
    if fleet.device.type != "cpu":
        return False
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores // fleet.ranks.world > torch.get_num_threads()


def schedule(progress: float, warmup: float) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to 0.

    Args:
        progress: Share of the run that is done, 0 to 1.
        warmup: Share of the run to warm up in.

    Reference:
        Loshchilov, Hutter, ICLR 2017, arXiv:1608.03983 (cosine).
    """
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1 - warmup, 1e-9)))


def twins_in(batch: Batch) -> int:
    """Number of pairs of rows in a batch with equal content, summed over fields."""
    found = 0
    for name, key in batch.keys.items():
        if name.startswith("content "):
            counts = torch.unique(key, return_counts=True)[1]
            found += int((counts * (counts - 1)).sum()) // 2
    return found


def _clip(optimiser: torch.optim.Optimizer, largest: float) -> float:
    """Norm of the gradient before it is clipped in place to `largest`; 0 disables clipping."""
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
    batches: Batches,
    clock: Speed,
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
        twins=sum(map(twins_in, batches.values())),
        health=examine(course.learner.positive_pairs(outcome.rows)) if due else None,
        chance=outcome.chance,
        norms=dict(outcome.norms),
        cosines=dict(outcome.cosines),
        factors=dict(outcome.factors),
        skipped=outcome.skipped,
    )
