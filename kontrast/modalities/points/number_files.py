"""Points written as numbers: text files of a point per line, and arrays of numpy."""

import io
import re

import numpy as np

from kontrast.core.errors import Unreadable

_COMMENT = re.compile(r"#.*|//.*")
_COORDINATES = ("points", "point_cloud", "pointcloud", "cloud", "xyz", "coords", "pos", "vertices")
_NAMED = {"normals": ("normals", "normal"), "colours": ("colours", "colors", "colour", "color", "rgb")}


def of_text(data: bytes) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """(N, C) numbers of a .pts or .xyz file, and what the columns are, if the format tells.

    A first line with a single number is the number of points. Seven columns are coordinates, intensity and colour.

    Raises:
        Unreadable: with the line.
    """
    try:
        text = data.decode("utf8")
    except UnicodeDecodeError as error:
        raise Unreadable("is no text; expected a point per line") from error
    lines = [(n, _COMMENT.sub("", line).replace(",", " ").replace(";", " ").split()) for n, line in
             enumerate(text.splitlines(), 1)]  # fmt: skip
    lines = [(n, words) for n, words in lines if words]
    if lines and len(lines[0][1]) == 1:
        lines = lines[1:]
    if not lines:
        raise Unreadable("an empty cloud: it holds no point")
    width = len(lines[0][1])
    for number, words in lines:
        if len(words) != width:
            raise Unreadable(f"line {number} has {len(words)} numbers, where the first point has {width}")
    if width < 3:
        raise Unreadable(f"has {width} numbers per line; expected 3 or more, coordinates first")
    try:
        points = np.array([words for _, words in lines], np.float64)
    except ValueError as error:
        number = next(n for n, words in lines if not all(map(_is_number, words)))
        raise Unreadable(f"line {number} holds something that is no number") from error
    return points, ("other", "colours") if width == 7 else None


def of_archive(data: bytes, suffix: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """The array of a .npy, or the arrays of a .npz side by side, and what their columns are.

    Of an .npz these are `points` (or `xyz`, `pos`, `vertices` ...), `normals` and `colors`, or its only array.

    Raises:
        Unreadable: pickled objects, or no array of points.
    """
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        arrays = {"points": loaded} if suffix == ".npy" else {name.lower(): loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise Unreadable(f"no {suffix} that can be read without unpickling; expected an array of numbers") from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise Unreadable(f"is no {suffix}")
    if len(arrays) == 1:
        return next(iter(arrays.values())), None
    at = next((name for name in _COORDINATES if name in arrays), None)
    if at is None:
        raise Unreadable(f"holds {', '.join(arrays) or 'nothing'}; expected one array, or one called 'points'")
    points, roles = arrays[at], []
    for role, names in _NAMED.items():
        more = next((arrays[name] for name in names if name in arrays), None)
        if more is not None and more.shape == (len(points), 3) and points.ndim == 2 and points.shape[1] == 3:
            roles.append((role, more / 255 if more.dtype == np.uint8 else more))
    if not roles:
        return points, None
    return np.concatenate([points, *(more for _, more in roles)], 1), tuple(role for role, _ in roles)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
