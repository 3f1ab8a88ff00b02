"""Series drawn from a seed, of kinds that can be told apart."""

import numpy as np


def waves(n, seed=0, length=64):
    """Series of three kinds (slow sine, fast sine, sawtooth) with random phase, height and noise: (n, length) and
    kinds."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 3
    t = np.linspace(0, 1, length)
    phase, height = rng.uniform(0, 1, (n, 1)), rng.uniform(0.5, 2, (n, 1))
    shapes = np.stack(
        [np.sin(2 * np.pi * (2 * t + phase)), np.sin(2 * np.pi * (6 * t + phase)), 2 * ((3 * t + phase) % 1) - 1]
    )
    return height * shapes[kinds, np.arange(n)] + 0.2 * rng.standard_normal((n, length)), kinds
