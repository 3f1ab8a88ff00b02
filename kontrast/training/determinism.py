"""The same command twice, the same numbers: only operations that always add in the same order."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

from kontrast.core.errors import UserError
from kontrast.core.experiment import Plan

# PyTorch's words for an operation whose result depends on which thread comes first.
_LACKS = "does not have a deterministic implementation"
# What cuBLAS needs to be told before its first product; PyTorch refuses products without.
_CUBLAS = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def repeatable(plan: Plan, device: torch.device) -> Iterator[None]:
    """What is computed here comes out alike every time, on the same machine, versions and number of threads.

    "auto": an operation that has no such form is computed nevertheless (PyTorch warns of it). "on": UserError then.
    The process computes as before afterwards.
    """
    if plan.deterministic == "off":
        yield
        return
    if device.type == "cuda":
        os.environ.setdefault(*_CUBLAS)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=plan.deterministic == "auto")
    try:
        with _unfilled():
            yield
    except RuntimeError as error:
        if name := _lacking(error):
            raise UserError(
                f"{name} has no deterministic form on this device; train with --no-deterministic, or with another "
                "method or encoder."
            ) from error
        raise
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def unrepeatable(attempt: Callable[[], object]) -> str:
    """Within `repeatable`: the first operation of `attempt` without a deterministic form, empty where each has one."""
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=False)
    try:
        attempt()
    except RuntimeError as error:
        if name := _lacking(error):
            return name
        raise
    finally:
        torch.use_deterministic_algorithms(True, warn_only=warns)
    return ""


@contextmanager
def _unfilled() -> Iterator[None]:
    """New tensors are not filled with NaN: that finds mistakes of programmers and costs a pass over each of them."""
    filled = deterministic.fill_uninitialized_memory  # pyright: ignore[reportAttributeAccessIssue]
    deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        deterministic.fill_uninitialized_memory = filled  # pyright: ignore[reportAttributeAccessIssue]


def _lacking(error: RuntimeError) -> str:
    words = str(error)
    return words.split(_LACKS)[0].split("\n")[-1].strip() if _LACKS in words else ""
