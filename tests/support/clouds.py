"""Point clouds for tests: simple bodies whose kind is the class, and files of them."""

import io

import numpy as np
import trimesh

KINDS = ("ball", "box", "tube")


def body(row: int, *, points: int = 150) -> np.ndarray:
    """(points, 3) float32 on a ball, a box or a tube of random proportions; the kind is `KINDS[row % 3]`."""
    rng = np.random.default_rng(row)
    turn, up = rng.uniform(0, 2 * np.pi, points), rng.uniform(-1, 1, points)
    if row % 3 == 0:
        x = rng.normal(size=(points, 3))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    elif row % 3 == 1:
        x = rng.uniform(-1, 1, (points, 3))
        x[np.arange(points), rng.integers(0, 3, points)] = rng.choice([-1.0, 1.0], points)
    else:
        x = np.stack([0.4 * np.cos(turn), 0.4 * np.sin(turn), up], 1)
    return (x * rng.uniform(0.7, 1.3, 3)).astype(np.float32)


def mesh(suffix: str) -> bytes:
    """A box of 2 x 1 x 4 around (5, 0, 0) as a file."""
    box = trimesh.creation.box(extents=(2, 1, 4))
    box.apply_translation((5, 0, 0))
    data = box.export(file_type=suffix.lstrip("."))
    return data.encode() if isinstance(data, str) else bytes(data)


def scan(points: np.ndarray, colours: np.ndarray | None = None) -> bytes:
    """A .las file; colours (N, 3) from 0 to 65,535."""
    import laspy

    header = laspy.LasHeader(point_format=2 if colours is not None else 0, version="1.2")
    header.scales, header.offsets = np.full(3, 0.001), points.min(0)
    file = laspy.LasData(header)
    file.x, file.y, file.z = points.T
    if colours is not None:
        file.red, file.green, file.blue = colours.T
    out = io.BytesIO()
    file.write(out)
    return out.getvalue()
