"""What a user should know of point clouds: points that are not finite, copies of points, clouds in one plane."""

import numpy as np

from kontrast.core.errors import Unreadable
from kontrast.data.remark import Remark, Rows
from kontrast.modalities.points.cloud import Cloud, cloud

_READ = 100  # cells that are decoded again
_COPIES = 0.1  # share of points that are copies of others
_FLAT = 1e-3  # smallest deviation against the largest: less is a plane
_FAR = 8.0  # times the median distance from the middle
_SOME = 0.02  # share of clouds that is worth a warning
_FEW = 0.5  # of the points of a view


def remarks(rows: Rows, points: int) -> list[Remark]:
    """Findings on a sample of clouds.

    Args:
        rows: The sample.
        points: Points of a view.
    """
    if not len(rows.packed):
        return []
    return [*_lost(rows), *_copies(rows), *_flat(rows), *_far(rows), *_few(rows, points)]


def _lost(rows: Rows) -> list[Remark]:
    """Clouds some of whose points hold NaN."""
    read = [(at, found) for at, cell in enumerate(rows.cells[:_READ]) if (found := _decoded(cell, rows)) is not None]
    lost = [(at, found.lost / (found.lost + len(found.points))) for at, found in read if found.lost]
    if not lost:
        return []
    words = (
        f"{rows.field}: {len(lost):,} of {len(read):,} clouds that were looked at hold points with NaN or infinite "
        f"numbers, up to {max(share for _, share in lost):.0%} of a cloud. These points are left out; check how they "
        "were made."
    )
    return [_remark("points that are not finite", rows, words, [at for at, _ in lost], len(read))]


def _copies(rows: Rows) -> list[Remark]:
    shares = np.array([1 - len(np.unique(one[:, :3], axis=0)) / len(one) for one in rows.packed])
    at = np.flatnonzero(shares > _COPIES)
    words = (
        f"{rows.field}: in {len(at):,} of {len(shares):,} clouds more than {_COPIES:.0%} of the points are copies of "
        f"others, up to {shares.max():.0%}. A view then shows fewer places than it has points; leave copies out."
    )
    return [_remark("copies of points", rows, words, at, len(shares))] if len(at) else []


def _flat(rows: Rows) -> list[Remark]:
    at = [n for n, one in enumerate(rows.packed) if _in_plane(one[:, :3])]
    words = (
        f"{rows.field}: {len(at):,} of {len(rows.packed):,} clouds lie in one plane or line. That is right for floor "
        "plans and scans of a wall; otherwise one coordinate is missing."
    )
    return [_remark("clouds in a plane", rows, words, at, len(rows.packed))] if at else []


def _far(rows: Rows) -> list[Remark]:
    at = [n for n, one in enumerate(rows.packed) if _strays(one[:, :3])]
    words = (
        f"{rows.field}: {len(at):,} of {len(rows.packed):,} clouds have points more than {_FAR:.0f} times as far from "
        "the middle as the median point. The unit sphere must hold them, so the rest becomes tiny; leave strays out."
    )
    return [_remark("stray points", rows, words, at, len(rows.packed))] if at else []


def _few(rows: Rows, points: int) -> list[Remark]:
    at = np.flatnonzero(rows.lengths < _FEW * points)
    words = (
        f"{rows.field}: {len(at):,} of {len(rows.lengths):,} clouds have fewer than {int(_FEW * points):,} points, "
        "half of a view, which repeats them. If they matter, take "
        f"--set views.{rows.field}.points={int(_FEW * points)}."
    )
    return [_remark("small clouds", rows, words, at, len(rows.lengths))] if len(at) else []


def _remark(name: str, rows: Rows, words: str, at: np.ndarray | list[int], looked: int) -> Remark:
    numbers = {"field": rows.field, "clouds": len(at), "share": len(at) / looked}
    return Remark(name, "warning" if len(at) > _SOME * looked else "note", words, numbers, at)


def _decoded(cell: object, rows: Rows) -> Cloud | None:
    try:
        return cloud(cell, rows.folder, 1)
    except Unreadable:
        return None


def _in_plane(points: np.ndarray) -> bool:
    x = points.astype(np.float64) - points.mean(0)
    deviations = np.sqrt(np.linalg.eigvalsh(x.T @ x).clip(0))
    return len(points) > 3 and deviations[0] < _FLAT * deviations[-1]


def _strays(points: np.ndarray) -> bool:
    far = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    return float(far.max()) > _FAR * float(np.median(far)) > 0
