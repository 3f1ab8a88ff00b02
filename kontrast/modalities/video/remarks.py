"""What a user should know of videos: lengths, single frames, videos that stand still, videos shorter than a clip."""

import numpy as np

from kontrast.data.remark import Remark, Rows, percentiles

_SOME = 0.02  # share of videos that is worth a warning


def remarks(rows: Rows, count: int, stride: int) -> list[Remark]:
    """Findings on a sample of videos.

    Args:
        rows: The sample.
        count: Frames of a clip.
        stride: Frames from one frame of a clip to the next.
    """
    if not len(rows.packed):
        return []
    single = np.flatnonzero(rows.lengths == 1)
    still = np.array([place for place, video in enumerate(rows.packed) if len(video) > 1 and _stands(video)], int)
    brief = np.flatnonzero((rows.lengths > 1) & (rows.lengths < count))
    return [
        _lengths(rows, count, stride),
        *_found(
            rows,
            "single frames",
            single,
            f"have one frame, so nothing moves in them. Pictures alone are better served by --field {rows.field}=image",
        ),
        *_found(
            rows,
            "still videos",
            still,
            "stand still: all their frames are equal, so clips of one differ by augmentation alone. Leave them out if "
            "motion matters",
        ),
        *_found(
            rows,
            "short videos",
            brief,
            f"are shorter than a clip of {count} frames, which repeats some of theirs. If that is most of them: --set "
            f"views.{rows.field}.frames={max(2, int(rows.lengths[brief].min(initial=count)))}",
            grave=False,
        ),
    ]


def _stands(video: np.ndarray) -> bool:
    return bool((video[1:] == video[:-1]).all())


def _lengths(rows: Rows, count: int, stride: int) -> Remark:
    spread = percentiles(rows.lengths)
    words = (
        f"{rows.field}: videos of {spread['median']:,} frames at the median, {int(rows.lengths.min()):,} to "
        f"{spread['most']:,}; a clip spans {count * stride}"
    )
    return Remark("lengths", "fact", words, {"field": rows.field, **spread})


def _found(rows: Rows, name: str, places: np.ndarray, words: str, *, grave: bool = True) -> list[Remark]:
    if not len(places):
        return []
    total = len(rows.lengths)
    level = "warning" if grave and len(places) > _SOME * total else "note"
    said = f"{rows.field}: {len(places):,} of {total:,} videos {words}."
    return [Remark(name, level, said, {"field": rows.field, "share": len(places) / total}, places)]
