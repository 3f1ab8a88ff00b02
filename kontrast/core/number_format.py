"""How the report writes numbers: three digits, no leading zero, tabular; the one place that decides it."""

import math
from typing import Any


def number(value: Any, digits: int = 3) -> str:
    """`.742`, `4.31`, `71.2`, `1,240`, `2.1e-05`; an en dash for nothing (None, NaN); words stay words."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    value = float(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.5 * 10**-digits:
        return f"{value:.1e}"
    if round(size, digits) < 1:
        return f"{value:.{digits}f}".replace("0.", ".", 1)
    if size >= 10_000:
        return f"{value:,.0f}"
    before = math.floor(math.log10(float(f"{size:.{digits}g}")))  # of what will be shown: 9.999 is 10.0
    return f"{value:,.{max(digits - 1 - before, 0)}f}"


def round_number(value: float) -> str:
    """A mark on an axis, without trailing zeros: `.5`, `40`, `1`."""
    text = number(float(value))
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def interval(low: float | None, high: float | None) -> str:
    """`[.69, .79]`, with a third digit where two would hide it; nothing where there is none."""
    if low is None or high is None or not math.isfinite(low + high):
        return ""
    size = max(abs(low), abs(high))
    unit = 0.01 if size < 1 else 10 ** (math.floor(math.log10(size)) - 1)  # the second digit
    digits = 3 if high - low < 3 * unit or any(0 < abs(x) < 0.01 for x in (low, high)) else 2
    return f"[{number(low, digits)}, {number(high, digits)}]"


NO_INTERVAL = "too few rows for an interval"


def share(part: float) -> str:
    """A share of one as per cent: `.0123` -> `1.2 %`."""
    percent = 100 * part
    return f"{percent:.0f} %" if percent >= 9.5 or percent == 0 else f"{percent:.1f} %"


def clock(seconds: float) -> str:
    """`42 s`, `2:10 min`, `1:05 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    big, small, unit = (seconds, 60, "min") if seconds < 6000 else (seconds / 60, 60, "h")
    whole = round(big)
    return f"{whole // small}:{whole % small:02d} {unit}"


def many(n: int, one: str, more: str | None = None) -> str:
    """`1 row`, `3,068 rows`."""
    return f"{number(n)} {one if n == 1 else more or one + 's'}"
