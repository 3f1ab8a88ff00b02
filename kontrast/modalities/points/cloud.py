"""Decoding of point clouds and meshes: files, encoded bytes, and arrays.

Axis letters: N points, C columns of numbers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kontrast.core.errors import Unreadable
from kontrast.data.schema.named_file import named_file
from kontrast.modalities.points import las, meshes, number_files

TEXTS = frozenset({".pts", ".xyz"})
LASERS = frozenset({".las", ".laz"})
ARRAYS = frozenset({".npy", ".npz"})
SUFFIXES = meshes.SUFFIXES | TEXTS | LASERS
"""Suffixes that tell a cloud; .npy and .npz may hold anything."""
LARGEST = 2_000_000_000  # bytes of a file
_MAGIC = {b"ply": ".ply", b"OFF": ".off", b"COFF": ".off", b"NOFF": ".off", b"glTF": ".glb", b"LASF": ".las"}
_COLUMNS = 64  # numbers of a point, at most


class Cloud(NamedTuple):
    """Points of one object, as its cell holds them.

    Attributes:
        points: (N, C) float64, coordinates first; at least one point, all finite.
        roles: What the columns after the third are, one name per three columns ("normals", "colours") or per column
            ("other"); None if only their values tell.
        lost: Points that were left out, since a number of them is not finite.
        up: The axis that points up by the convention of the file: "y" for .obj and .glb, "z" for all others.
        derived: Whether the normals are those of the surface on which the points were drawn, not stored ones.
    """

    points: np.ndarray
    roles: tuple[str, ...] | None
    lost: int = 0
    up: str = "z"
    derived: bool = False


def cloud(cell: Any, folder: Path | None, drawn: int) -> Cloud:
    """Decodes a point cloud, or draws one on the surface of a mesh.

    Args:
        cell: A path relative to `folder`, a file as bytes, `{"bytes": ..., "path": ...}`, or an array or nested list of
            (points, 3 or more); (3, points) is turned.
        folder: Paths are relative to it.
        drawn: Points drawn on the surface of a mesh.

    Raises:
        Unreadable: with the reason.
    """
    if isinstance(cell, Mapping):
        name = cell.get("path") or ""
        cell = cell["bytes"] if cell.get("bytes") is not None else cell.get("path")
        if isinstance(cell, bytes):
            return _decoded(cell, Path(name).suffix.lower() or _suffix_of(cell), drawn)
    if isinstance(cell, str | Path):
        return _of_file(folder or Path(), cell, drawn)
    if isinstance(cell, bytes | bytearray | memoryview):
        return _decoded(bytes(cell), _suffix_of(bytes(cell)), drawn)
    if cell is None:
        raise Unreadable("nothing there: expected a path, bytes, or an array of points")
    return _finite(_array(cell), None)


def names_cloud(name: str) -> bool:
    """Whether a name ends like that of a file of points or of a mesh."""
    return Path(name[-20:]).suffix.lower() in SUFFIXES


def is_cloud(data: bytes) -> bool:
    """Whether bytes begin like a file of points or of a mesh."""
    return bool(_suffix_of(data))


def _of_file(folder: Path, name: str | Path, drawn: int) -> Cloud:
    path = named_file(folder, name, kind="clouds", largest=LARGEST)
    return _decoded(path.read_bytes(), path.suffix.lower(), drawn)


def _decoded(data: bytes, suffix: str, drawn: int) -> Cloud:
    if not data:
        raise Unreadable("an empty file")
    if suffix in meshes.SUFFIXES:
        found = meshes.read(data, suffix, drawn)
        return _finite(found.points, found.roles, up=found.up, derived=found.derived)
    if suffix in LASERS:
        return _finite(*las.read(data))
    if suffix in TEXTS:
        return _finite(*number_files.of_text(data))
    if suffix in ARRAYS:
        points, roles = number_files.of_archive(data, suffix)
        return _finite(_array(points), roles)
    raise Unreadable(
        f"a file with the suffix '{suffix}'; expected {', '.join(sorted(SUFFIXES | ARRAYS))}"
        if suffix
        else "bytes that begin like no file of points: expected ply, off, glb or las"
    )


def _suffix_of(data: bytes) -> str:
    return next((suffix for magic, suffix in _MAGIC.items() if data.startswith(magic)), "")


def _array(cell: Any) -> np.ndarray:
    """(N, C) numbers of an array or of nested lists; (3, N) is turned."""
    try:
        array = np.asarray(cell)
        if array.dtype.kind == "O" and not any(isinstance(value, str | bytes) for value in array.flat):
            array = np.stack([np.asarray(row, np.float64) for row in array])
    except (ValueError, TypeError) as error:
        raise Unreadable("its points differ in the number of coordinates, or are no numbers") from error
    if array.dtype.kind not in "iuf":
        raise Unreadable("holds something that is no number")
    if not array.size:
        raise Unreadable("an empty cloud: it holds no point")
    if array.ndim != 2:
        raise Unreadable(f"has {array.ndim} axes; a cloud has 2: points and their coordinates")
    if array.shape[0] == 3 and array.shape[1] > 3:
        array = array.T
    if not 3 <= array.shape[1] <= _COLUMNS:
        raise Unreadable(f"has {array.shape[1]} numbers per point; expected 3 to {_COLUMNS}, coordinates first")
    return array


def _finite(points: np.ndarray, roles: tuple[str, ...] | None, *, up: str = "z", derived: bool = False) -> Cloud:
    """The points all of whose numbers are finite."""
    points = points.astype(np.float64)
    if not len(points):
        raise Unreadable("an empty cloud: it holds no point")
    there = np.isfinite(points).all(1)
    lost = len(points) - int(there.sum())
    if 2 * lost > len(points):
        raise Unreadable(f"{lost:,} of {len(points):,} points hold a number that is not finite")
    return Cloud(points[there] if lost else points, roles, lost, up, derived)
