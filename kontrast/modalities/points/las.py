"""Laser scans in .las files."""

import io

import numpy as np

from kontrast.core.errors import Unreadable, needs

_MOST = 100_000_000  # points of a file
_COLOURS = ("red", "green", "blue")


def read(data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N, 3) coordinates of a scan, or (N, 6) if its points have colours, and what the columns are.

    Args:
        data: A .las file; .laz needs a decompressor of laspy (`pip install lazrs`).

    Raises:
        Unreadable: with the reason.
    """
    laspy = needs("laspy", "points")
    try:
        with laspy.open(io.BytesIO(data)) as file:
            if file.header.point_count > _MOST:
                raise Unreadable(f"{file.header.point_count:,} points; expected at most {_MOST:,}")
            scan = file.read()
            points = np.stack([np.asarray(scan[axis], np.float64) for axis in "xyz"], 1)
            if set(_COLOURS) <= set(scan.point_format.dimension_names):
                colours = np.stack([np.asarray(scan[name], np.float64) for name in _COLOURS], 1)
                return np.hstack([points, colours / max(colours.max(initial=1.0), 1.0)]), ("colours",)
    except Unreadable:
        raise
    except Exception as error:  # laspy raises what numpy and struct raise on a damaged file
        raise Unreadable(f"no scan that can be decoded ({_first_line(error)}); expected las") from error
    return points, ()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
