"""A video as a small animated picture in HTML."""

import base64
import io

import numpy as np
from PIL import Image as Pil

_SHOWN = 8  # frames
_LASTS = 1500  # milliseconds of the whole
_QUALITY = 70


def animation(frames: np.ndarray) -> str:
    """An <img> tag with an animated WebP inside, of at most 8 frames.

    Args:
        frames: (T, C, H, W) uint8 with one or three channels; of others the first is shown.
    """
    some = frames[np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _SHOWN)).round().astype(int))]
    pictures = [Pil.fromarray(np.ascontiguousarray(f.transpose(1, 2, 0) if len(f) == 3 else f[0])) for f in some]
    file = io.BytesIO()
    first, *others = [one.convert("RGB") for one in pictures]
    options = {"duration": _LASTS // len(some), "loop": 0, "quality": _QUALITY, "method": 2}
    first.save(file, "WEBP", save_all=True, append_images=others, **options)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="video of {len(frames)} frames" src="data:image/webp;base64,{data}">'
