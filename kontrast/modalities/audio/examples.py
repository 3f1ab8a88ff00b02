"""Plausible sounds without data."""

import numpy as np


def chord(number: int, rate: int) -> np.ndarray:
    """A decaying chord whose pitch, interval and length follow from its number.

    Args:
        number: From 0.
        rate: Samples per second.

    Returns:
        (T,) float32, 0.3 to 0.5 s.
    """
    t = np.arange(int(rate * (0.3 + 0.03 * (number % 7)))) / rate
    low, high = 220 + 17 * number, 330 + 40 * (number % 5)
    x = np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * high * t)
    return (0.3 * np.exp(-3 * t) * x).astype(np.float32)
