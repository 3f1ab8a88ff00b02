"""A temperature that changes over training."""

import math


def swing(progress: float, *, low: float = 0.1, high: float = 1.0, periods: float = 1.0) -> float:
    """The temperature at `progress` (0 to 1) of training: from high to low and back, a cosine, `periods` times.

    A high temperature tells groups apart, a low one instances; going back and forth helps on long tails (Kukleva et al.
    2023, arXiv:2303.13664). Before each step: `kernel.set_temperature(swing(progress))`.

    >>> [round(swing(p), 2) for p in (0, 0.25, 0.5, 1)]
    [1.0, 0.55, 0.1, 1.0]
    """
    return low + (high - low) * (1 + math.cos(2 * math.pi * periods * progress)) / 2
