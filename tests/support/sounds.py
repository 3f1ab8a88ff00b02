"""Sounds for tests: tones with overtones that decay, of a length and pitch that the row decides."""

import io

import numpy as np
import soundfile


def tone(row: int, *, rate: int = 8000, seconds: float = 0.4, classes: int = 3) -> np.ndarray:
    """A decaying tone, (T,) float32; rows of one class share the interval of two tones, not their pitch."""
    rng = np.random.default_rng(row)
    t = np.arange(int(rate * seconds * rng.uniform(0.7, 1.3))) / rate
    low = rng.uniform(200, 400)
    interval = (1.25, 1.5, 2.1)[row % classes]
    x = np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * low * interval * t) + rng.normal(0, 0.02, len(t))
    return (0.3 * rng.uniform(0.3, 1) * x * np.exp(-3 * t)).astype(np.float32)


def encoded(samples: np.ndarray, rate: int = 8000, kind: str = "WAV") -> bytes:
    """A file with these samples, as bytes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()
