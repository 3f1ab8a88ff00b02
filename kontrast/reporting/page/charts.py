"""Training curves for the report page, as small charts with text of constant size."""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kontrast.core.number_format import many, number, round_number, share
from kontrast.evaluation.look import NUMBERS
from kontrast.reporting.page.safe import esc

MOST = 300  # points per curve: more cannot be seen, and each costs bytes


def curves(moments: Sequence[Mapping[str, Any]], width: int | None = None) -> str:
    """Charts of all numbers that the step records contain.

    Args:
        moments: Step records as plain values.
        width: Dimensions of the embedding, the limit of the effective rank; None if unknown.

    Returns:
        HTML; "" without any curve.
    """
    health = [{"step": m.get("step"), **m["health"]} for m in moments if m.get("health")]
    of = f" of {width}" if width else ""
    made = [
        curve(moments, "loss", "Loss", "what training lowers", level=_chance(moments)),
        curve(health, "effective_rank", "Effective rank", f"directions in use{of}; 1 is collapse", floor=0.0),
        curve(health, "spread", "Spread", "1 is evenly spread, 0 is all rows alike", floor=0.0),
        curve(health, "alignment", "Alignment", "distance of two views of a row; lower is closer", floor=0.0),
        curve(health, "uniformity", "Uniformity", "lower is more even over the sphere"),
        curve(moments, "rate", "Rows per second", "whole step, data included", floor=0.0),
        curve(moments, "wait", "Waiting for data", "share of the time", floor=0.0, say=share),
    ]
    charts = "".join(filter(None, made))
    return f"<div class='charts'>{charts}</div>" if charts else ""


def validation(looks: Sequence[Mapping[str, Any]]) -> str:
    """Charts of the evaluations of validation rows while training.

    Args:
        looks: {"step", "seconds", "cost", "rows", "values": {name: number}} per evaluation.

    Returns:
        HTML; "" without any.
    """
    points = [{"step": look["step"], **look["values"]} for look in looks]
    made = [curve(points, key, about.title, about.note) for key, about in NUMBERS.items()]
    charts = "".join(filter(None, made))
    if not charts:
        return ""
    spent, rows = sum(look["cost"] for look in looks), looks[-1]["rows"]
    part = f", {share(spent / looks[-1]['seconds'])} of the training time" if looks[-1]["seconds"] else ""
    said = f"{many(len(looks), 'look')} at {many(rows, 'validation row')}, neither trained on nor in the scores{part}."
    return f"<p class='note'>{said}</p><div class='charts'>{charts}</div>"


def binned(points: Sequence[tuple[float, float]], most: int = MOST) -> list[tuple[float, float]]:
    """Reduces points by averaging runs of neighbours; x is the last step of each run.

    Args:
        points: (x, y) in order of x.
        most: Largest number of points returned. Default 300.
    """
    if len(points) <= most:
        return list(points)
    edges = [round(i * len(points) / most) for i in range(most + 1)]
    runs = [points[a:b] for a, b in itertools.pairwise(edges)]
    return [(run[-1][0], sum(y for _, y in run) / len(run)) for run in runs]


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within a range, spaced 1, 2 or 5 times a power of ten.

    Args:
        low: Start of the range.
        high: End of the range.
        about: Number of ticks to aim for. Default 4.
    """
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.8)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def curve(
    moments: Sequence[Mapping[str, Any]],
    key: str,
    title: str,
    note: str,
    floor: float | None = None,
    level: float | None = None,
    say: Callable[[float], str] = number,
) -> str:
    """A chart of one number over the steps.

    Args:
        moments: Step records as plain values.
        key: Name of the number in them.
        title: Title of the chart; HTML, as is `note`.
        note: What the number says, in a few words.
        floor: Smallest end of the axis; None follows the values.
        level: Value of a dashed line; None for no line.
        say: Writes a value.

    Returns:
        HTML; "" if no record holds the number.
    """
    given = [(m["step"], m[key]) for m in moments if m.get("step") is not None and m.get(key) is not None]
    points = [(float(x), float(y)) for x, y in given if math.isfinite(y)]
    lost = len(given) - len(points)
    warning = f"<p class='warn'>{number(lost)} of {number(len(given))} values were not finite</p>" if lost else ""
    if not points:
        return f"<figure class='chart'><figcaption><b>{title}</b>{warning}</figcaption></figure>" if lost else ""
    each = f"<span>each point a mean of {round(len(points) / MOST)}</span>" if len(points) >= 2 * MOST else ""
    points = binned(points)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = _range(ys if level is None else [*ys, level], floor)
    across = [(x - xs[0]) / ((xs[-1] - xs[0]) or 1) for x in xs]
    up = [(y - low) / (high - low) for y in ys]
    line = "M" + "L".join(f"{1000 * x:.1f} {1000 * (1 - y):.1f}" for x, y in zip(across, up, strict=True))
    steps = [(y, 100 * (1 - (y - low) / (high - low))) for y in ticks(low, high)]
    grid = "".join(
        f"<i style='top:{at:.1f}%'><span>{round_number(y) if say is number else say(y)}</span></i>" for y, at in steps
    )
    said = f"{title}: {say(ys[0])} at step {number(int(xs[0]))}, {say(ys[-1])} at step {number(int(xs[-1]))}"
    dashes = ""
    if level is not None:
        above = 100 * (1 - (level - low) / (high - low))
        dashes = f"<i class='chance' style='top:{above:.1f}%'><b>knowing nothing {say(level)}</b></i>"
    alone = f"<b class='dot' style='left:0;top:{100 * (1 - up[0]):.1f}%'></b>" if len(points) == 1 else ""
    data = json.dumps(
        [[int(x), round(a, 4), round(u, 4), say(y)] for x, a, u, y in zip(xs, across, up, ys, strict=True)]
    )
    return (
        f"<figure class='chart' data-points='{esc(data)}'>"
        f"<figcaption><b>{title}</b><output>{say(ys[-1])}</output><small>{note}</small></figcaption>"
        f"<div class='plot'>{grid}{dashes}"
        f"<svg viewBox='0 0 1000 1000' preserveAspectRatio='none' role='img' aria-label='{said}'>"
        f"<path d='{line}'/></svg>{alone}</div>"
        f"<div class='steps'><span>step {number(int(xs[0]))}</span>{each}<span>{number(int(xs[-1]))}</span></div>"
        f"{warning}</figure>"
    )


def _chance(moments: Sequence[Mapping[str, Any]]) -> float | None:
    """Mean loss of uninformative embeddings; None if a step has no such value."""
    levels = [m.get("chance") for m in moments]
    known = [level for level in levels if level is not None and math.isfinite(level)]
    return sum(known) / len(known) if known and len(known) == len(levels) else None


def _range(ys: Sequence[float], floor: float | None) -> tuple[float, float]:
    low, high = min(ys), max(ys)
    if floor is not None:
        low = min(low, floor)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return (low if low == floor else low - room), high + room
