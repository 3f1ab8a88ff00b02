"""Meshes, and points in the files of meshes: off, ply, obj, stl, glb.

Axis letters: N points, T triangles.
"""

import io
from typing import Any, NamedTuple

import numpy as np

from kontrast.core.errors import Unreadable, needs

SUFFIXES = frozenset({".off", ".ply", ".obj", ".stl", ".glb"})
_UPRIGHT = frozenset({".obj", ".glb"})  # by convention y points up; glTF says so
_MOST = 20_000_000  # triangles of a mesh
_TINY = 1e-12


class Surface(NamedTuple):
    """Points of a mesh or of its file.

    Attributes:
        points: (N, 3 or more) float64.
        roles: What the columns after the third are.
        up: The axis that points up by the convention of the format.
        derived: Whether the normals are those of the triangles.
    """

    points: np.ndarray
    roles: tuple[str, ...]
    up: str
    derived: bool


def read(data: bytes, suffix: str, drawn: int) -> Surface:
    """Points of a mesh's surface with its normals, or the points of a file without faces.

    Files that a mesh refers to (materials, pictures) are not opened.

    Args:
        data: The file.
        suffix: Its format, with the dot.
        drawn: Points drawn on a surface, evenly over its area and always the same.

    Raises:
        Unreadable: with the reason.
    """
    trimesh = needs("trimesh", "points")
    try:
        found = trimesh.load(io.BytesIO(data), file_type=suffix[1:], process=False)
        found = found.to_geometry() if isinstance(found, trimesh.Scene) and len(found.geometry) else found
    except Exception as error:  # readers of trimesh raise whatever a damaged file makes them meet
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unreadable(f"no {suffix[1:]} that can be decoded ({said})") from error
    up = "y" if suffix in _UPRIGHT else "z"
    vertices = getattr(found, "vertices", None)
    if vertices is None or not len(vertices):
        raise Unreadable("an empty cloud: it holds no point")
    faces = getattr(found, "faces", None)
    if faces is None or not len(faces):
        return _stored(found, up)
    if len(faces) > _MOST:
        raise Unreadable(f"{len(faces):,} triangles; expected at most {_MOST:,}")
    return Surface(_on_surface(np.asarray(vertices, np.float64), np.asarray(faces), drawn), ("normals",), up, True)


def _on_surface(vertices: np.ndarray, faces: np.ndarray, drawn: int) -> np.ndarray:
    """(N, 6) points with normals, as many on equal areas; corners if the area is 0."""
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise Unreadable("a triangle names a corner that is not there")
    corners = vertices[faces]
    sides = corners[:, 1:] - corners[:, :1]
    across = np.cross(sides[:, 0], sides[:, 1])
    doubled = np.linalg.norm(across, axis=1)
    if not np.isfinite(doubled).all():
        raise Unreadable("a corner of a triangle holds a number that is not finite")
    if doubled.sum() <= _TINY:
        return np.hstack([vertices, np.zeros_like(vertices)])
    rng = np.random.default_rng(0)
    area = doubled.cumsum() / doubled.sum()
    at = np.searchsorted(area, (np.arange(drawn) + rng.random(drawn)) / drawn).clip(0, len(faces) - 1)
    u, v = rng.random((2, drawn, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points = corners[at, 0] + u * sides[at, 0] + v * sides[at, 1]
    return np.hstack([points, across[at] / np.maximum(doubled[at, None], _TINY)])


def _stored(found: Any, up: str) -> Surface:
    """Points of a file without faces, with the normals and colours it stores."""
    parts, roles = [np.asarray(found.vertices, np.float64)], []
    raw = found.metadata.get("_ply_raw", {}).get("vertex", {}).get("data")
    names = raw.dtype.names or () if isinstance(raw, np.ndarray) else raw or ()  # binary, or text: a dict
    if raw is not None and {"nx", "ny", "nz"} <= set(names):
        parts.append(np.stack([np.ravel(raw[name]) for name in ("nx", "ny", "nz")], 1).astype(np.float64))
        roles.append("normals")
    colours = np.asarray(getattr(found, "colors", ()))
    if colours.ndim == 2 and len(colours) == len(parts[0]) and colours.shape[1] >= 3:
        parts.append(colours[:, :3].astype(np.float64) / (255 if colours.dtype.kind in "iu" else 1))
        roles.append("colours")
    return Surface(np.hstack(parts), tuple(roles), up, False)
