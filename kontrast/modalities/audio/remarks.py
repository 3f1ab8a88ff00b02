"""What a user should know of sounds: lengths, rates, silence, clipping, clips that are too short."""

from collections import Counter
from pathlib import Path

import numpy as np

from kontrast.core.errors import Unreadable
from kontrast.data.remark import Remark, Rows
from kontrast.modalities.audio.clip import rate_of
from kontrast.modalities.audio.waves import LOUDEST

_SILENT = 33  # of 32,767: 60 decibels below full scale
_CLIPPED = 0.001  # share of samples at full scale that is no accident
_SOME = 0.02  # share of clips that is worth a warning
_BRIEF = 0.25  # of a view's length: less is mostly padding
_ASKED = 200  # clips whose header is read


def remarks(rows: Rows, rate: int, seconds: float) -> list[Remark]:
    """Findings on a sample of clips.

    Args:
        rows: The sample.
        rate: Samples per second of the packed clips.
        seconds: Length of a view.
    """
    if not len(rows.packed):
        return []
    return [_lengths(rows, rate), *_rates(rows, rate), *_levels(rows), *_brief(rows, rate, seconds)]


def _lengths(rows: Rows, rate: int) -> Remark:
    durations = rows.lengths / rate
    middle, most = float(np.median(durations)), float(durations.max())
    words = f"{rows.field}: clips of {middle:.2f} s at the median, {durations.min():.2f} to {most:.2f} s"
    return Remark("lengths", "fact", words, {"field": rows.field, "median": middle, "most": most})


def _rates(rows: Rows, rate: int) -> list[Remark]:
    """Rates of the files, if they differ from each other or from the rate of the run."""
    found = Counter(one for cell in rows.cells[:_ASKED] if (one := _rate(cell, rows.folder)))
    numbers = {"field": rows.field, "rates": {str(k): v for k, v in found.most_common()}, "rate": rate}
    if len(found) > 1:
        listed = ", ".join(f"{k:,} ({v / found.total():.0%})" for k, v in found.most_common(4))
        low = any(one < rate for one in found)
        why = " Slow recordings lack the high bands, by which an encoder may tell them apart" if low else ""
        do = f"; --set views.{rows.field}.rate={min(found)} makes them alike." if low else ""
        words = f"{rows.field}: recorded at {listed} samples per second, all brought to {rate:,}.{why}{do}"
        return [Remark("several rates", "warning" if low else "note", words, numbers)]
    if found and rate < min(found):
        words = f"{rows.field}: recorded at {min(found):,} samples per second, brought to {rate:,}"
        return [Remark("rate", "fact", words, numbers)]
    return []


def _rate(cell: object, folder: Path) -> int | None:
    try:
        return rate_of(cell, folder)
    except Unreadable:
        return None


def _levels(rows: Rows) -> list[Remark]:
    """Clips that are silent, or cut off at full scale."""
    peaks = np.array([int(np.abs(samples.astype(np.int32)).max()) for samples in rows.packed])
    silent = np.flatnonzero(peaks <= _SILENT)
    clipped = np.array([float((np.abs(samples.astype(np.int32)) >= LOUDEST - 1).mean()) for samples in rows.packed])
    cut = np.flatnonzero(clipped > _CLIPPED)
    found, count = [], len(peaks)
    if len(silent):
        words = (
            f"{rows.field}: {len(silent):,} of {count:,} clips are silent (below -60 dB). They look the same to any "
            "encoder; leave them out."
        )
        level = "error" if len(silent) == count else "warning"
        found.append(Remark("silence", level, words, {"field": rows.field, "share": len(silent) / count}, silent))
    if len(cut):
        words = (
            f"{rows.field}: {len(cut):,} of {count:,} clips reach full scale for more than {_CLIPPED:.1%} of the "
            "time, so they were probably recorded too loud and are distorted."
        )
        level = "warning" if len(cut) > _SOME * count else "note"
        found.append(Remark("clipping", level, words, {"field": rows.field, "share": len(cut) / count}, cut))
    return found


def _brief(rows: Rows, rate: int, seconds: float) -> list[Remark]:
    brief = np.flatnonzero(rows.lengths < _BRIEF * seconds * rate)
    if not len(brief):
        return []
    words = (
        f"{rows.field}: {len(brief):,} of {len(rows.lengths):,} clips are shorter than {_BRIEF * seconds:.2f} s, "
        f"a quarter of a view. If they matter, shorten views: --set views.{rows.field}.seconds={_BRIEF * seconds:.2f}."
    )
    level = "warning" if len(brief) > _SOME * len(rows.lengths) else "note"
    return [Remark("short clips", level, words, {"field": rows.field, "clips": len(brief)}, brief)]
