"""Faster computation of a step (bf16, channels-last, compile), chosen by rule or by timing.

The rule is the default, so that the same command gives the same numbers.
"""

import contextlib
import copy
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kontrast.core.embeddings import Keys
from kontrast.core.experiment import Plan
from kontrast.core.ranks import Ranks
from kontrast.data.dataset.reader import Batch
from kontrast.tasks.task import Task
from kontrast.training.memory import forecast
from kontrast.training.step import step

# Operations per byte above which bf16 pays: image and series encoders have 46 to 73 and gain 1.2 to 1.8 times, the bag
# of tokens has 7 and gains nothing (docs/benchmarks.md, "The same numbers twice").
DENSE = 25.0
# Smaller gains are within the noise of three steps and not worth another number format.
PAYS = 1.1
# Seconds: compiling takes most of a minute, which a shorter run cannot win back.
LONG = 600.0
# Timed steps per mode.
TURNS = 3
# Rows tried first, and the seconds per step above which no more rows are tried.
FEW, SLOW = 16, 0.1


@dataclass(frozen=True)
class PrecisionMode:
    """How the encoders compute.

    Attributes:
        bf16: Whether in bfloat16 autocast. Default False.
        channels_last: Whether in channels-last memory format. Default False.
        compiled: Whether with `torch.compile`. Default False.
        gain: Speed-up of a step over plain float32; None if not timed.
    """

    bf16: bool = False
    channels_last: bool = False
    compiled: bool = False
    gain: float | None = None

    @property
    def words(self) -> str:
        """Mode for the first screen: `bf16, channels-last: 1.8x plain`."""
        names = [
            n
            for n, on in (("bf16", self.bf16), ("channels-last", self.channels_last), ("compiled", self.compiled))
            if on
        ]
        return ", ".join(names or ["float32"]) + (f": {self.gain:.1f}x plain" if names and self.gain else "")


def pinned(plan: Plan) -> PrecisionMode:
    """Mode that the plan fixes; "auto" counts as off."""
    return PrecisionMode(plan.precision == "bf16", plan.channels_last == "on", plan.compile == "on")


def forced(plan: Plan, mode: PrecisionMode) -> Plan:
    """Plan with the mode pinned, so that a resumed run computes as before."""
    on = {True: "on", False: "off"}
    return replace(
        plan, precision="bf16" if mode.bf16 else "32", channels_last=on[mode.channels_last], compile=on[mode.compiled]
    )


def choose(method: Task, batch: Batch, plan: Plan, steps: int | None) -> tuple[PrecisionMode, float]:
    """Chooses what the plan leaves open, on copies that leave the method untouched.

    A slow step is timed with few of its rows and extrapolated.

    Args:
        method: Method to train.
        batch: A batch of the run.
        plan: Its settings "auto" are chosen: by timing if `deterministic` is "off", else by rule.
        steps: Steps of the run; None if its minutes decide.

    Returns:
        The mode, and its seconds per step; 0 if a rule decides and the number of steps is known.
    """
    if plan.deterministic == "off":
        return _by_stopwatch(method, batch, plan, steps)
    mode = _by_rule(method, batch, plan)
    if steps is not None:
        return mode, 0.0
    return mode, _sized(_Trial(method, batch, mode, plan.passes), batch)


def _by_rule(method: Task, batch: Batch, plan: Plan) -> PrecisionMode:
    """Mode by properties of machine and method, without timing, so that it is reproducible.

    Compiling is never chosen, since only timing tells whether it pays.
    """
    mode, device = pinned(plan), batch.keys["id"].device
    flat = device.type != "mps" and any(isinstance(m, nn.Conv2d) for m in method.modules())
    rules = {
        "channels_last": plan.channels_last == "auto" and flat,
        "bf16": plan.precision == "auto" and _computes_bf16(device) and _density(method, batch) > DENSE,
    }
    for name, pays in rules.items():
        if pays:
            with contextlib.suppress(RuntimeError):  # a model that cannot run in this mode: it fails every time
                tried = replace(mode, **{name: True}, compiled=False)
                _Trial(method, batch[slice(0, FEW)], tried, plan.passes).turn()
                mode = replace(tried, compiled=mode.compiled)
    return mode


def _sized(trial: "_Trial", whole: Batch) -> float:
    """Seconds per step of the whole batch; the trial keeps the rows it timed.

    A compiled step is timed whole, since it would be compiled again for every number of rows.
    """
    rows = len(whole) if trial.mode.compiled else min(FEW, len(whole))
    while True:
        trial.batch = whole[slice(0, rows)]
        first = trial.turn()  # allocates
        seconds = first if first > 10 * SLOW else min(first, *(trial.turn() for _ in range(TURNS)))
        if rows == len(whole) or seconds > SLOW:
            return seconds * len(whole) / rows
        rows = min(4 * rows, len(whole))


def _density(method: Task, batch: Batch) -> float:
    """Operations in matrix products and convolutions per byte kept for backward."""
    few = batch[slice(0, 16)]
    training = method.training
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        method.eval()(few.views, few.keys)
    method.train(training)
    return counted.get_total_flops() / max(forecast(method, few, None).activations, 1)


def _by_stopwatch(method: Task, batch: Batch, plan: Plan, steps: int | None) -> tuple[PrecisionMode, float]:
    """Fastest mode by measured time."""
    best, gain = _Trial(method, batch, pinned(plan), plan.passes), 1.0
    seconds = _sized(best, batch)
    part, batch = len(best.batch) / len(batch), best.batch
    images = any(v.ndim == 4 for v in batch.views.values())
    trials = [
        ("channels_last", plan.channels_last == "auto" and images),
        ("bf16", plan.precision == "auto" and _has_bf16(batch.keys["id"].device)),
        ("compiled", plan.compile == "auto" and _length(plan, seconds, steps) > LONG),
    ]
    for name, allowed in trials:
        if not allowed:
            continue
        try:
            rival = _Trial(method, batch, replace(best.mode, **{name: True}), plan.passes)
            rival.turn()  # allocates, and compiles
            turns = [(rival.turn(), best.turn()) for _ in range(TURNS)]
        except RuntimeError:  # no compiler, or a model that cannot be traced
            continue
        taken, before = map(min, zip(*turns, strict=True))
        if taken * PAYS < before:
            best, gain, seconds = rival, gain * before / taken, taken / part
    return replace(best.mode, gain=gain), seconds


def prepare(method: nn.Module, mode: PrecisionMode, *, weights: bool = True) -> nn.Module:
    """Module to call: in the mode's memory format, and compiled if the mode says so.

    Args:
        method: Module to prepare, in place.
        mode: How it computes.
        weights: Whether weights take the memory format too; fsdp splits contiguous ones only. Default True.
    """
    if mode.channels_last and weights:
        for child in method.modules():
            if isinstance(child, nn.Conv2d | nn.BatchNorm2d):
                child.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return torch.compile(method) if mode.compiled else method  # pyright: ignore[reportReturnType]


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


class Casting(nn.Module):
    """Forward pass of a method in a precision mode; embeddings come out in float32.

    Args:
        method: Method to call.
        mode: How it computes.
        weights: Whether weights take the memory format too. Default True.
    """

    def __init__(self, method: Task, mode: PrecisionMode, *, weights: bool = True) -> None:
        super().__init__()
        self.method, self.mode = method, mode
        self.called = prepare(method, mode, weights=weights)

    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Embeddings of the views, as `Task.forward`."""
        if self.mode.channels_last:  # converts once: each layer would convert its input, in backward too
            views = {name: _channels_last(x) for name, x in views.items()}
        with torch.autocast(keys["id"].device.type, dtype=torch.bfloat16, enabled=self.mode.bf16):
            return {name: z.float() for name, z in self.called(views, keys).items()}


class _Trial:
    """Copy of a method in a mode, for timing.

    Rivals take turns, so that other load slows both, and are compared by their fastest turns, since load only adds
    time.
    """

    def __init__(self, method: Task, batch: Batch, mode: PrecisionMode, passes: int | None) -> None:
        self.method, self.batch, self.mode, self.passes = copy.deepcopy(method), batch, mode, passes
        self.encode = Casting(self.method, mode)

    def turn(self) -> float:
        """Seconds of one step."""
        start, device = time.perf_counter(), self.batch.keys["id"].device
        step(self.method, self.encode, self.batch, Ranks(alone=True), seed=0, passes=self.passes)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start


def _length(plan: Plan, seconds: float, steps: int | None) -> float:
    return plan.minutes * 60 if plan.minutes else seconds * (steps or 0)


def _computes_bf16(device: torch.device) -> bool:
    """Whether the device computes bf16 natively rather than emulating it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    intel = platform.machine().lower() in ("x86_64", "amd64")
    able = not intel or torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return device.type == "cpu" and able and _has_bf16(device)


def _has_bf16(device: torch.device) -> bool:
    """Whether the device accepts bf16; CPUs without AMX or AVX512-bf16 emulate it slowly."""
    if device.type == "cpu":
        return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return device.type != "cuda" or torch.cuda.is_bf16_supported()
