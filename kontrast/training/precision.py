"""Faster computation of a step (bf16, channels-last, compile), chosen by rule or by timing.

The rule is the default, so that the same command gives the same numbers.
"""

import contextlib
import copy
import platform
import time
from dataclasses import replace

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from kontrast.core import containers
from kontrast.core.experiment import Plan
from kontrast.core.ranks import Ranks
from kontrast.encoders.precision_mode import PrecisionMode
from kontrast.training.learner import Batches, Learner
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


def pinned(plan: Plan) -> PrecisionMode:
    """Mode that the plan fixes; "auto" counts as off."""
    return PrecisionMode(plan.precision == "bf16", plan.channels_last == "on", plan.compile == "on")


def forced(plan: Plan, mode: PrecisionMode) -> Plan:
    """Plan with the mode pinned, so that a resumed run computes as before."""
    on = {True: "on", False: "off"}
    return replace(
        plan, precision="bf16" if mode.bf16 else "32", channels_last=on[mode.channels_last], compile=on[mode.compiled]
    )


def choose(learner: Learner, batches: Batches, plan: Plan, steps: int | None) -> tuple[PrecisionMode, float]:
    """Chooses what the plan leaves open, on copies that leave the learner untouched.

    A slow step is timed with few of its rows and extrapolated.

    Args:
        learner: Encoders and tasks.
        batches: Batches of a step, by group.
        plan: Its settings "auto" are chosen: by timing if `deterministic` is "off", else by rule.
        steps: Steps of the run; None if its minutes decide.

    Returns:
        The mode, and its seconds per step; 0 if a rule decides and the number of steps is known.
    """
    if plan.deterministic == "off":
        return _by_stopwatch(learner, batches, plan, steps)
    mode = _by_rule(learner, batches, plan)
    if steps is not None:
        return mode, 0.0
    return mode, _sized(_Trial(learner, batches, mode, plan.passes), batches)


def _by_rule(learner: Learner, batches: Batches, plan: Plan) -> PrecisionMode:
    """Mode by properties of machine and encoders, without timing, so that it is reproducible.

    Compiling is never chosen, since only timing tells whether it pays.
    """
    mode, device = pinned(plan), _device(batches)
    flat = device.type != "mps" and any(isinstance(m, nn.Conv2d) for m in learner.modules())
    rules = {
        "channels_last": plan.channels_last == "auto" and flat,
        "bf16": plan.precision == "auto" and _computes_bf16(device) and _density(learner, batches) > DENSE,
    }
    for name, pays in rules.items():
        if pays:
            with contextlib.suppress(RuntimeError):  # a model that cannot run in this mode: it fails every time
                tried = replace(mode, **{name: True}, compiled=False)
                _Trial(learner, _first(batches, FEW), tried, plan.passes).turn()
                mode = replace(tried, compiled=mode.compiled)
    return mode


def _sized(trial: "_Trial", whole: Batches) -> float:
    """Seconds per step of the whole batch; the trial keeps the rows it timed.

    A compiled step is timed whole, since it would be compiled again for every number of rows.
    """
    most = _rows(whole)
    rows = most if trial.mode.compiled else min(FEW, most)
    while True:
        trial.batches = _first(whole, rows)
        first = trial.turn()  # allocates
        seconds = first if first > 10 * SLOW else min(first, *(trial.turn() for _ in range(TURNS)))
        if rows == most or seconds > SLOW:
            return seconds * most / rows
        rows = min(4 * rows, most)


def _density(learner: Learner, batches: Batches) -> float:
    """Operations in matrix products and convolutions per byte kept for backward."""
    few = _first(batches, 16)
    training = learner.training
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        learner.eval()(*containers.flattened(few))
    learner.train(training)
    return counted.get_total_flops() / max(forecast(learner, few, None).activations, 1)


def _first(batches: Batches, rows: int) -> Batches:
    return {group: batch[slice(0, rows)] for group, batch in batches.items()}


def _rows(batches: Batches) -> int:
    return max(map(len, batches.values()))


def _device(batches: Batches) -> torch.device:
    return next(iter(batches.values())).keys["id"].device


def _by_stopwatch(learner: Learner, batches: Batches, plan: Plan, steps: int | None) -> tuple[PrecisionMode, float]:
    """Fastest mode by measured time."""
    best, gain = _Trial(learner, batches, pinned(plan), plan.passes), 1.0
    seconds = _sized(best, batches)
    part, batches = _rows(best.batches) / _rows(batches), best.batches
    views = [view.data for batch in batches.values() for view in batch.views.values()]
    images = any(t.ndim == 4 for data in views for t in containers.tensors(data))
    trials = [
        ("channels_last", plan.channels_last == "auto" and images),
        ("bf16", plan.precision == "auto" and _has_bf16(_device(batches))),
        ("compiled", plan.compile == "auto" and _length(plan, seconds, steps) > LONG),
    ]
    for name, allowed in trials:
        if not allowed:
            continue
        try:
            rival = _Trial(learner, batches, replace(best.mode, **{name: True}), plan.passes)
            rival.turn()  # allocates, and compiles
            turns = [(rival.turn(), best.turn()) for _ in range(TURNS)]
        except RuntimeError:  # no compiler, or a model that cannot be traced
            continue
        taken, before = map(min, zip(*turns, strict=True))
        if taken * PAYS < before:
            best, gain, seconds = rival, gain * before / taken, taken / part
    return replace(best.mode, gain=gain), seconds


def prepare(learner: Learner, mode: PrecisionMode, *, weights: bool = True) -> None:
    """Sets how the encoders compute: number format, memory format, compiled or not.

    Args:
        learner: Changed in place.
        mode: How its encoders compute.
        weights: Whether weights take the memory format too; fsdp splits contiguous ones only. Default True.
    """
    learner.encoders.mode = mode
    for child in learner.modules() if mode.channels_last and weights else ():
        if isinstance(child, nn.Conv2d | nn.BatchNorm2d):
            child.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    for network in learner.encoders.networks.values() if mode.compiled else ():
        network.compile()


class _Trial:
    """Copy of a learner in a mode, for timing.

    Rivals take turns, so that other load slows both, and are compared by their fastest turns, since load only adds
    time.
    """

    def __init__(self, learner: Learner, batches: Batches, mode: PrecisionMode, passes: int | None) -> None:
        self.learner, self.batches, self.mode, self.passes = copy.deepcopy(learner), batches, mode, passes
        prepare(self.learner, mode)

    def turn(self) -> float:
        """Seconds of one step."""
        start, device = time.perf_counter(), _device(self.batches)
        step(self.learner, self.learner, self.batches, Ranks(alone=True), seed=0, passes=self.passes)
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
