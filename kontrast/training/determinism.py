"""Deterministic operations, so that the same command gives the same numbers."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

from kontrast.core.errors import UserError
from kontrast.core.experiment import Plan

# PyTorch's message for an operation whose result depends on thread order; it has no error type of its own.
_LACKS = "does not have a deterministic implementation"
# PyTorch refuses deterministic matrix products unless cuBLAS has this setting before its first product.
_CUBLAS = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def repeatable(plan: Plan, device: torch.device) -> Iterator[None]:
    """Makes computations within the context reproducible on the same machine, versions and number of threads.

    Earlier settings are restored afterwards.

    Args:
        plan: Its `deterministic`: "off" changes nothing; "auto" runs operations without a deterministic form anyway,
            with
            PyTorch's warning; "on" refuses them.
        device: Device of the computation.

    Raises:
        UserError: `deterministic` is "on" and an operation has no deterministic form.
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
    """First operation without a deterministic form; empty if all have one.

    Args:
        attempt: Computation to check; call within `repeatable`.
    """
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
    """Stops PyTorch from filling new tensors with NaN.

    The filling finds programming mistakes and costs a pass over each tensor.
    """
    filled = deterministic.fill_uninitialized_memory  # pyright: ignore[reportAttributeAccessIssue]
    deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        deterministic.fill_uninitialized_memory = filled  # pyright: ignore[reportAttributeAccessIssue]


def _lacking(error: RuntimeError) -> str:
    words = str(error)
    return words.split(_LACKS)[0].split("\n")[-1].strip() if _LACKS in words else ""
