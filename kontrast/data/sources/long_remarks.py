"""What a user should know of how a long table was read, for the first screen and the doctor.

Axis letters: N readings, sorted by series and time; S series.
"""

import numpy as np

from kontrast.core.experiment import Source
from kontrast.data.remark import Remark
from kontrast.data.sources.instants import Placed, Readings
from kontrast.data.sources.long_columns import Layout
from kontrast.data.tables.frame import Frame

_SHOWN = 6
_MANY = 0.01  # share of readings beyond which repeated times are a warning
_MOSTLY = 0.5  # share of instants beyond which gaps are a warning
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_OTHERS = {
    "grid": "elapsed keeps each and adds the time since the last as a channel, order takes them as equally spaced",
    "elapsed": "grid averages them in equal steps with gaps, order takes them as equally spaced",
}


def remarks(
    frame: Frame,
    source: Source,
    readings: Readings,
    found: Layout,
    placed: Placed,
    lengths: np.ndarray,
) -> tuple[Remark, ...]:
    """All remarks on a long table; their rows are numbers of series.

    Args:
        frame: The long table.
        source: With channels, sampling and step.
        readings: Its rows, sorted.
        found: Its columns.
        placed: The places of its readings.
        lengths: (S,) instants per series.
    """
    dated = source.time is not None and _dated(frame, source.time)
    parts = [
        _shape(source, readings, found, lengths),
        _left_out(source, readings, found),
        _repeated(source, readings),
        _rhythm(source, placed, dated),
        _gaps(source, readings, placed.at, lengths),
        _short(source, readings),
    ]
    return tuple(remark for remark in parts if remark is not None)


def span(value: float, dated: bool) -> str:
    """A difference of times in words: `90 s`, `1.5 h`; a bare number if times are numbers."""
    if not dated:
        return f"{value:.4g}"
    unit, name = next((u for u in _UNITS if value >= 2 * u[0] or np.isclose(value, u[0])), _UNITS[-1])
    return f"{value / unit:.4g} {name}"


def _dated(frame: Frame, time: str) -> bool:
    import pyarrow.types as types

    from kontrast.data.tables.column_reader import is_number

    column = frame.columns[time]
    return not isinstance(column, np.ndarray) and not is_number(column.type) and not types.is_null(column.type)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _shape(source: Source, readings: Readings, found: Layout, lengths: np.ndarray) -> Remark:
    low, high = int(lengths.min()), int(lengths.max())
    long = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    channels = list(found.channels)
    words = (
        f"{len(lengths):,} series by '{source.series}', of {long} instants, from {len(readings.rows):,} rows; "
        f"{len(channels):,} channel{'s' * (len(channels) > 1)}: {_listed(channels)}"
    )
    if source.time is None:
        words += "; in the order of the rows (--time COLUMN: by their times)"
    numbers = {"series": len(lengths), "rows": len(readings.rows), "channels": channels, "longest": high}
    return Remark("long table", "fact", words, numbers)


def _left_out(source: Source, readings: Readings, found: Layout) -> Remark | None:
    parts = []
    if readings.left_out:
        times = f" or '{source.time}'" if source.time else ""
        parts.append(f"{readings.left_out:,} rows without '{source.series}'{times} are left out")
    if found.left:
        named = [f"{name} ({why})" for name, why in found.left.items()]
        parts.append(f"not used: {_listed(named)}")
    numbers = {"rows": readings.left_out, "columns": found.left}
    return Remark("left out of series", "note", "; ".join(parts), numbers) if parts else None


def _repeated(source: Source, readings: Readings) -> Remark | None:
    """Several readings of a series at one time."""
    if source.time is None:
        return None
    again = np.diff(readings.times, prepend=np.nan) == 0
    again[readings.starts] = False
    count = int(again.sum())
    if not count:
        return None
    rows = np.unique(np.searchsorted(readings.starts, np.flatnonzero(again), side="right") - 1)
    words = (
        f"{count:,} row{'s repeat' if count > 1 else ' repeats'} a time of its series (in {len(rows):,} series); "
        f"they are averaged. If they are of different things, --series needs a column that tells them apart"
    )
    level = "warning" if count > _MANY * len(again) else "note"
    return Remark("repeated times", level, words, {"rows": count, "series": len(rows)}, rows)


def _rhythm(source: Source, placed: Placed, dated: bool) -> Remark | None:
    """The step, and what was done if times are irregular."""
    beat = placed.rhythm
    if source.time is None or source.step is None or beat is None:
        return None
    step = span(source.step, dated)
    numbers = {"step": source.step, "regular": beat.regular, "p5": beat.low, "p95": beat.high}
    usual = abs(beat.step - source.step) < 0.01 * source.step
    if beat.regular and usual and source.sampling == "grid":
        return Remark("sampling", "fact", f"'{source.time}': a reading every {step}", numbers)
    if source.sampling == "order":
        words = f"'{source.time}' orders the readings, which are taken as equally spaced"
        return Remark("sampling", "fact" if beat.regular else "note", words, numbers)
    apart = f"90 % of the readings are {span(beat.low, dated)} to {span(beat.high, dated)} apart"
    if source.sampling == "grid":
        done = f"readings are averaged in steps of {step}"
    else:
        why = f", since a grid of {step} would have {placed.width:,.0f} instants per reading" if placed.width else ""
        done = f"each reading is kept{why}, and log(1 + time since the one before / {step}) is one more channel"
    how = "irregular times" if not beat.regular else "another step" if not usual else "regular times"
    words = f"'{source.time}': {how} ({apart}); {done}. --set source.sampling: {_OTHERS[source.sampling]}"
    return Remark("sampling", "note" if not (beat.regular and usual) else "fact", words, numbers)


def _gaps(source: Source, readings: Readings, at: np.ndarray, lengths: np.ndarray) -> Remark | None:
    """Instants of a grid without a reading."""
    if source.sampling != "grid":
        return None
    jump = np.diff(at, prepend=0)
    jump[readings.starts] = 0
    missing = np.maximum(jump - 1, 0)
    share, longest = float(missing.sum() / lengths.sum()), int(missing.max(initial=0))
    if not longest:
        return None
    per = np.add.reduceat(missing, readings.starts)
    words = (
        f"{share:.1%} of the instants have no reading and are gaps; {int((per > 0).sum()):,} series have gaps, the "
        f"longest of {longest:,} instants"
    )
    numbers = {"share": share, "series": int((per > 0).sum()), "longest": longest}
    if share > _MOSTLY:
        words += "; longer steps leave fewer: --set source.step=..., or --set source.sampling=elapsed"
    return Remark("gaps", "warning" if share > _MOSTLY else "note", words, numbers, np.argsort(-per, kind="stable"))


def _short(source: Source, readings: Readings) -> Remark | None:
    """Series of one reading."""
    rows = np.flatnonzero(readings.counts == 1)
    if not len(rows):
        return None
    words = f"{len(rows):,} series of '{source.series}' have one row, which shows no change over time; leave them out"
    return Remark("one instant", "warning", words, {"series": len(rows)}, rows)
