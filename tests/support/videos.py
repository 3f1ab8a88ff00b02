"""Videos for tests: a bright block that moves to the right, down, or up and to the left."""

import io

import numpy as np
from PIL import Image

MOTIONS = {"right": (0, 1), "down": (1, 0), "back": (-1, -1)}


def moving(row: int, *, frames: int = 12, side: int = 16) -> np.ndarray:
    """A block of some colour on a dark ground, (T, side, side, 3) uint8; the row modulo 3 says how it moves."""
    rng = np.random.default_rng(row)
    colour, ground = rng.integers(90, 256, 3), rng.integers(0, 60, 3)
    step = np.array(list(MOTIONS.values())[row % len(MOTIONS)])
    place, size = rng.integers(0, side, 2), rng.integers(4, 7)
    video = np.empty((frames, side, side, 3), np.uint8)
    for t, frame in enumerate(video):
        frame[:] = ground
        y, x = np.mgrid[0:size, 0:size].reshape(2, -1) + (place + t * step)[:, None]
        frame[y % side, x % side] = colour
    return video


def encoded(video: np.ndarray, kind: str = "GIF") -> bytes:
    """An animated file with these frames."""
    first, *others = [Image.fromarray(frame) for frame in video]
    file = io.BytesIO()
    lossless = {"lossless": True} if kind == "WEBP" else {}
    first.save(file, kind, save_all=True, append_images=others, duration=80, loop=0, **lossless)
    return file.getvalue()
