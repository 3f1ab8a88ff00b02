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


def spoken(words: np.ndarray, *, seed: int, rate: int = 4000, seconds: float = 0.15) -> np.ndarray:
    """Tones one after another, (T,) float32: the pitch says which word, length and level vary."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(rate // 20)]
    for word in words:
        t = np.arange(int(rate * seconds * rng.uniform(0.85, 1.15))) / rate
        pitch = 300 * 1.6**word * rng.uniform(0.97, 1.03)
        wave = np.sin(2 * np.pi * pitch * t) * np.sin(np.pi * t / t[-1])  # swells and fades
        parts += [0.4 * rng.uniform(0.5, 1) * wave, np.zeros(rate // 25)]
    x = np.concatenate(parts)
    return (x + rng.normal(0, 0.005, len(x))).astype(np.float32)
