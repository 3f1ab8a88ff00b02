"""Results of checks: a property holds, fails or leaves a doubt, in words with numbers."""

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Make = Callable[[], Any]
"""Builds a new copy of what is checked from the same settings and random numbers."""

Property = Callable[[Any], str]
"""A check: returns what it compared, in words; raises `Broken` or `Doubt` if the property does not hold."""


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        name: The property.
        verdict: "ok", "warning" or "failed".
        detail: What was compared, or what went wrong and where.
    """

    name: str
    verdict: Literal["ok", "warning", "failed"]
    detail: str


class Broken(AssertionError):
    """Raised if a property does not hold."""


class Doubt(AssertionError):
    """Raised for what is mostly a mistake, but may be intended."""


def run_check(name: str, holds: Property, make: Make) -> Finding:
    """Finding of one property.

    Any other exception of the loss is a failure too, with its message and place.
    """
    try:
        return Finding(name, "ok", holds(make))
    except Broken as broken:
        return Finding(name, "failed", str(broken))
    except Doubt as doubt:
        return Finding(name, "warning", str(doubt))
    except Exception as error:  # the loss may be anyone's code: any exception is its verdict
        at = traceback.extract_tb(error.__traceback__)[-1]
        return Finding(name, "failed", f"raised {type(error).__name__}: {error} ({at.filename}:{at.lineno})")


def near(
    what: str, found: Iterable[Tensor], wanted: Iterable[Tensor], *, relative: float = 1e-9, absolute: float = 1e-11
) -> None:
    """Raises `Broken` if values differ too much, are not finite or have another shape.

    Args:
        what: What is compared, for the message.
        found: Values to check.
        wanted: Expected values.
        relative: Allowed difference as a share of the expected value.
        absolute: Allowed difference on top of that.
    """
    for f, w in zip(found, wanted, strict=True):
        if f.shape != w.shape:
            raise Broken(f"{what}: a shape of {tuple(f.shape)}, expected {tuple(w.shape)}")
        f, w = f.double(), w.double()
        allowed = absolute + relative * w.abs()
        off = ~((f - w).abs() <= allowed)  # negated, so that NaN counts as off
        if off.any():
            gap = torch.where(off, (f - w).abs().nan_to_num(torch.inf), -1.0)
            place = [int(k) for k in torch.unravel_index(gap.argmax(), gap.shape)] if gap.ndim else []
            where = f" at {place}" if place else ""
            one, other = f[tuple(place)].item(), w[tuple(place)].item()
            raise Broken(f"{what} differs by {gap.max().item():.1e}{where}: found {one:.8g}, expected {other:.8g}")


def finite(what: str, *found: Tensor) -> None:
    """Raises `Broken` if a value is NaN or infinite."""
    for f in found:
        bad = ~torch.isfinite(f.float())
        if bad.any():
            raise Broken(f"{what}: {int(bad.sum())} of {f.numel()} numbers are NaN or infinite")
