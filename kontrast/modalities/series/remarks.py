"""Lengths of series and the share that is averaged down, gaps, and channels that tell nothing."""

import numpy as np

from kontrast.data.remark import Remark, Rows, percentiles

_MANY = 0.1
_TAIL = 20
_GAPS, _MOSTLY = 0.05, 0.5  # share of missing numbers that is worth a note, and a warning
_SHOWN = 6


def remarks(rows: Rows, limit: int, time_axis: int) -> list[Remark]:
    """A fact on lengths, or what is wrong with them; then gaps and channels that tell nothing.

    Args:
        rows: The sample.
        limit: Steps that are kept of a series.
        time_axis: The axis of time in cells of two axes.
    """
    return [*_lengths(rows, limit, time_axis), *_gaps(rows), *_channels(rows)] if len(rows.cells) else []


def _gaps(rows: Rows) -> list[Remark]:
    """Missing numbers before the end of rows."""
    missing = np.array([(~np.isfinite(series)).mean() for series in rows.packed])
    share = float(np.average(missing, weights=rows.lengths.clip(1)))
    if share < _GAPS:
        return []
    longest = max(map(_longest_gap, rows.packed))
    words = (
        f"{rows.field}: {share:.0%} of the numbers are missing, for up to {longest:,} steps in a row; encoders see "
        "where, and never fill them"
    )
    if share > _MOSTLY:
        words += ". Longer steps, or fewer channels, leave fewer gaps."
    numbers = {"field": rows.field, "share": share, "longest": longest}
    return [Remark("missing numbers", "warning" if share > _MOSTLY else "note", words, numbers, np.argsort(-missing))]


def _longest_gap(series: np.ndarray) -> int:
    """Most steps in a row without a number in any channel."""
    known = np.flatnonzero(np.isfinite(series).any(1))
    return int(np.diff(known, prepend=-1, append=len(series)).max() - 1)


def _channels(rows: Rows) -> list[Remark]:
    """Channels without a number, and those that change in no row."""
    empty = np.ones(rows.packed[0].shape[1], bool)
    constant = np.ones_like(empty)
    for series in rows.packed:
        known = np.isfinite(series)
        empty &= ~known.any(0)
        low, high = np.where(known, series, np.inf).min(0), np.where(known, series, -np.inf).max(0)
        constant &= low >= high
    found = []
    kinds = (("empty", empty, "no number"), ("constant", constant & ~empty, "the same number throughout"))
    for name, which, what in kinds:
        places = np.flatnonzero(which)
        if 0 < len(places) < len(which):
            named = ", ".join(map(str, places[:_SHOWN])) + (
                f" and {len(places) - _SHOWN} more" * (len(places) > _SHOWN)
            )
            words = (
                f"{rows.field}: of its {len(which)} channels (from 0), {named} hold {what} in each row; leave them out."
            )
            numbers = {"field": rows.field, "channels": places.tolist()}
            found.append(Remark(f"{name} channels", "warning", words, numbers))
    return found


def _steps(shape: tuple[int, ...], time_axis: int) -> int:
    """Steps of a cell of one or two axes."""
    return shape[time_axis if len(shape) > 1 else 0]


def _lengths(rows: Rows, limit: int, time_axis: int) -> list[Remark]:
    """A fact on lengths, or what is wrong with them."""
    whole = np.array([_steps(np.shape(cell), time_axis) for cell in rows.cells])
    cut = float((whole > limit).mean())
    steps, kept = percentiles(whole), rows.lengths
    numbers = {"field": rows.field, "steps": steps, "limit": limit, "cut": cut, "looked at": len(whole)}
    if cut > _MANY:
        words = (
            f"{rows.field}: {steps['median']:,} steps at the median, {steps['most']:,} at most; {cut:.0%} are longer "
            f"than {limit} and averaged down to that, which blurs what is fast: --set "
            f"views.{rows.field}.length={2 * limit}."
        )
        return [Remark("truncated", "warning", words, numbers)]
    if kept.max() > _TAIL * np.median(kept):
        words = (
            f"{rows.field}: the longest series has {kept.max() / np.median(kept):.0f} times the steps of the middle "
            "one, and a batch is padded to its longest. Cut long ones into pieces if they are slow."
        )
        return [Remark("long tail", "note", words, numbers, np.argsort(-kept))]
    words = f"{rows.field}: {steps['median']:,} steps at the median, {steps['most']:,} at most"
    return [Remark("lengths", "fact", words, numbers)]
