"""What a proof finds: a property holds, fails or leaves a doubt, in words with numbers."""

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Make = Callable[[], nn.Module]
"""Builds the loss anew, from the same settings and the same random numbers."""

Property = Callable[[Any], str]
"""Make -> what was compared, in words; raises `Broken` or `Doubt` where it does not hold."""


@dataclass(frozen=True)
class Finding:
    """The verdict on one property; `detail` says what was compared, or what went wrong and where."""

    name: str
    verdict: Literal["ok", "warning", "failed"]
    detail: str


class Broken(AssertionError):
    """The property does not hold."""


class Doubt(AssertionError):
    """What is mostly a mistake and may be meant."""


def judge(name: str, holds: Property, make: Make) -> Finding:
    """The finding on one property. Whatever else a loss raises is a failure too: its own words and where it was."""
    try:
        return Finding(name, "ok", holds(make))
    except Broken as broken:
        return Finding(name, "failed", str(broken))
    except Doubt as doubt:
        return Finding(name, "warning", str(doubt))
    except Exception as error:  # the loss is a stranger's: this is the verdict on it, and nothing is hidden
        at = traceback.extract_tb(error.__traceback__)[-1]
        return Finding(name, "failed", f"raised {type(error).__name__}: {error} ({at.filename}:{at.lineno})")


def near(
    what: str, found: Iterable[Tensor], wanted: Iterable[Tensor], *, relative: float = 1e-9, absolute: float = 1e-11
) -> None:
    """Refuse what differs by more than `absolute` + `relative` times the wanted value, or is not finite, in words."""
    for f, w in zip(found, wanted, strict=True):
        if f.shape != w.shape:
            raise Broken(f"{what}: a shape of {tuple(f.shape)}, expected {tuple(w.shape)}")
        f, w = f.double(), w.double()
        allowed = absolute + relative * w.abs()
        off = ~((f - w).abs() <= allowed)  # so that a NaN is off as well
        if off.any():
            gap = torch.where(off, (f - w).abs().nan_to_num(torch.inf), -1.0)
            place = [int(k) for k in torch.unravel_index(gap.argmax(), gap.shape)] if gap.ndim else []
            where = f" at {place}" if place else ""
            one, other = f[tuple(place)].item(), w[tuple(place)].item()
            raise Broken(f"{what} differs by {gap.max().item():.1e}{where}: found {one:.8g}, expected {other:.8g}")


def finite(what: str, *found: Tensor) -> None:
    """Refuse NaN and infinity."""
    for f in found:
        bad = ~torch.isfinite(f.float())
        if bad.any():
            raise Broken(f"{what}: {int(bad.sum())} of {f.numel()} numbers are NaN or infinite")
