"""Plausible videos without data."""

import numpy as np


def moving(number: int) -> np.ndarray:
    """A square that moves over a ground of another colour; all of it follows from its number.

    Args:
        number: From 0.

    Returns:
        (T, H, W, 3) uint8, 9 to 20 frames.
    """
    rng = np.random.default_rng(number)
    ground, colour = rng.integers(0, 256, (2, 3))
    place, step = rng.uniform(4, 18, 2), rng.uniform(-1, 1, 2)
    y, x = np.mgrid[0:28, 0:32]
    video = []
    for t in range(9 + number % 12):
        at_y, at_x = np.abs((place + t * step) % 44 - 22)  # back and forth between the edges
        inside = (np.abs(y - at_y - 3) < 4) & (np.abs(x - at_x - 5) < 4)
        video.append(np.where(inside[..., None], colour, ground))
    return np.stack(video).astype(np.uint8)
