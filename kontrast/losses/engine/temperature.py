"""Temperatures that change over training or differ between classes."""

import math

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere
from kontrast.losses.engine import input_checks


def swing(progress: float, *, low: float = 0.1, high: float = 1.0, periods: float = 1.0) -> float:
    """Temperature that swings from high to low and back during training, as a cosine.

    A high temperature separates groups, a low one instances; the swing helps on long tails (Kukleva et al. 2023,
    arXiv:2303.13664). Before each step: `kernel.set_temperature(swing(progress))`.

    Args:
        progress: Share of training done, 0 to 1.
        low: Lowest temperature.
        high: Highest temperature, at the start.
        periods: Number of swings.

    Example:
        >>> [round(swing(p), 2) for p in (0, 0.25, 0.5, 1)]
        [1.0, 0.55, 0.1, 1.0]
    """
    low, high = float(input_checks.number(low, "low", above=0)), float(input_checks.number(high, "high", above=0))
    progress, periods = float(input_checks.number(progress, "progress")), float(input_checks.number(periods, "periods"))
    return low + (high - low) * (1 + math.cos(2 * math.pi * periods * progress)) / 2


def by_class(z: Tensor, labels: Tensor, temperature_C: Tensor) -> Tensor:
    """Unit vectors divided by the temperature of their class.

    As anchors, with the kernel `Dot` and candidates on the sphere: S_ij = cos(z_i, c_j) / temperature[label of i]. Rare
    classes can have a lower temperature, or each class learns its own: `log_C.exp()` of a parameter stays above 0.

    Args:
        z: (N, D) embeddings.
        labels: (N,) classes from 0; -1 is unknown.
        temperature_C: (C,) temperatures above 0.

    Returns:
        (N, D).

    Raises:
        UserError: not one temperature per class, one of 0 or less, or a label outside of the classes.

    Example:
        >>> import torch
        >>> by_class(torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([1, 0]), torch.tensor([0.5, 0.1]))
        tensor([[6., 8.],
                [0., 2.]])
    """
    if temperature_C.ndim != 1:
        raise UserError(f"a tensor {tuple(temperature_C.shape)} of temperatures; expected (classes,), or a number.")
    y = input_checks.labels(labels, input_checks.embeddings(z), classes=len(temperature_C)).clamp_min(
        0
    )  # the unknown: any
    if not bool((temperature_C > 0).all()):
        raise UserError(f"temperatures as low as {temperature_C.min():g}; expected more than 0.")
    return sphere(z, temperature_C[y][:, None])
