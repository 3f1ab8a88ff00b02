"""Plausible clouds without data: points on simple bodies."""

import numpy as np

KINDS = ("ball", "box", "tube", "ring")


def body(number: int) -> np.ndarray:
    """Points on a ball, a box, a tube or a ring, whose size follows from its number.

    Args:
        number: From 0; the kind is that of `KINDS[number % 4]`.

    Returns:
        (N, 3) float32, 160 to 224 points.
    """
    rng = np.random.default_rng(number)
    count, size = 160 + 16 * (number % 5), 0.5 + 0.1 * (number % 7)
    turn, up = rng.uniform(0, 2 * np.pi, count), rng.uniform(-1, 1, count)
    kind = KINDS[number % len(KINDS)]
    if kind == "ball":
        points = rng.normal(size=(count, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    elif kind == "box":
        points = rng.uniform(-1, 1, (count, 3))
        points[np.arange(count), rng.integers(0, 3, count)] = rng.choice([-1.0, 1.0], count)
    elif kind == "tube":
        points = np.stack([0.5 * np.cos(turn), 0.5 * np.sin(turn), up], 1)
    else:
        wide = 0.8 + 0.2 * np.cos(np.pi * up)
        points = np.stack([wide * np.cos(turn), wide * np.sin(turn), 0.2 * np.sin(np.pi * up)], 1)
    return (points * [1, 1, size]).astype(np.float32)
