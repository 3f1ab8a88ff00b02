"""Point clouds as pictures: seen from the front, from the side and from above.

Axis letters: N points.
"""

import base64
import io

import numpy as np
from PIL import Image as Pil

_SIDE = 72  # pixels of one look
_DRAWN = 1500  # points
_NEAR, _FAR = np.array((30, 58, 138), float), np.array((191, 219, 254), float)
# Axes that run across, upwards and towards the eye, from the front, from the side and from above.
_LOOKS = {
    "x": ((1, 0, 2), (2, 0, 1), (1, 2, 0)),
    "y": ((0, 1, 2), (2, 1, 0), (0, 2, 1)),
    "z": ((0, 2, 1), (1, 2, 0), (0, 1, 2)),
}


def picture(points: np.ndarray, *, up: str, colours: np.ndarray | None, words: str) -> str:
    """An <img> of three looks side by side; near points are dark, unless the points have colours.

    Args:
        points: (N, 3).
        up: Axis that points up.
        colours: (N, 3) from 0 to 1, or None.
        words: What it shows, for those who cannot see it.
    """
    points = np.asarray(points[:_DRAWN], float)
    middle = (points.max(0) + points.min(0)) / 2
    half = max(float(np.abs(points - middle).max()), 1e-12)
    inside = (points - middle) / half
    sheet = np.full((_SIDE, 3 * _SIDE, 3), 255.0)
    for number, (across, upwards, depth) in enumerate(_LOOKS[up]):
        order = np.argsort(inside[:, depth], kind="stable")  # near points are drawn last
        near = (inside[order, depth, None] + 1) / 2
        shade = _FAR + near * (_NEAR - _FAR) if colours is None else 230 * np.clip(colours[order], 0, 1)
        x, y = (((one * inside[order, axis] + 1) / 2 * (_SIDE - 8)).astype(int) + 3 for one, axis in
                ((1, across), (-1, upwards)))  # fmt: skip
        for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
            sheet[y + dy, number * _SIDE + x + dx] = shade
    png = io.BytesIO()
    Pil.fromarray(sheet.astype(np.uint8)).quantize(32).save(png, "PNG", optimize=True)
    return f'<img alt="{words}" src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}">'
