"""The scores: the trained encoder beside the untrained one, raw features and chance, with intervals drawn."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from kontrast.runs.page.digits import UNTOLD, interval, number, round_number
from kontrast.runs.page.safe import esc
from kontrast.runs.page.verdict import label, standing

BASELINES: tuple[tuple[Literal["untrained", "raw"], str], ...] = (("untrained", "untrained"), ("raw", "raw features"))


def scores(rows: Sequence[Mapping[str, Any]], not_judged: Sequence[tuple[str, str]]) -> str:
    """The table, its legend, and what was not judged and why; empty where there is neither."""
    parts = []
    if rows:
        head = "".join(f"<th scope='col'>{h}</th>" for h in ("Score", "Trained", "Untrained", "Raw features", "Chance"))
        body = "".join(_row(row) for row in rows)
        parts.append(
            f"<table class='scores'><thead><tr>{head}<th scope='col' class='wide'>{_legend()}</th></tr></thead>"
            f"<tbody>{body}</tbody></table>"
            "<p class='note'>Brackets hold the number on other test rows like these in 95 of 100 cases; the encoder "
            "and its seed stay. There are none where the rows are too few to tell. “Better” and “worse” are said only "
            "where the interval of the difference over the same rows leaves out 0, and of scores that have a chance "
            "level; the others describe.</p>"
        )
    if not_judged:
        items = "".join(f"<li><b>{esc(name)}</b> {esc(reason)}</li>" for name, reason in not_judged)
        parts.append(f"<h3>Not judged</h3><ul class='plain'>{items}</ul>")
    return "".join(parts)


def _row(score: Mapping[str, Any]) -> str:
    tagged = label(score) != str(score["name"])
    name = esc(score["name"]) + (f" <span class='tag'>{esc(score['field'])}</span>" if tagged else "")
    small = [f"{number(score['rows'])} rows"] if score.get("rows") else []
    small += [] if score.get("higher_is_better", True) else ["lower is better"]
    cells = [
        f"<th scope='row'>{name}<small>{' · '.join(small)}</small></th>",
        f"<td data-head='Trained'><b>{_value(score.get('trained'))}</b></td>",
        *(
            f"<td data-head='{words.capitalize()}'>{_value(score.get(key))}{_stand(score, key)}</td>"
            for key, words in BASELINES
        ),
        f"<td data-head='Chance'>{number(score.get('chance'))}</td>",
        f"<td class='wide'>{_plot(score)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _value(value: Mapping[str, Any] | None) -> str:
    if not value:
        return "–"
    bounds = interval(value.get("low"), value.get("high")) or (UNTOLD if _known(value.get("value")) else "")
    return number(value.get("value")) + (f" <small>{bounds}</small>" if bounds else "")


def _stand(score: Mapping[str, Any], key: Literal["untrained", "raw"]) -> str:
    stand = standing(score, key)
    if stand is None:
        return ""
    if stand == "even":
        return "<small class='stand'>no clear difference</small>"
    if score.get("chance") is None:  # a rank, a spread: it describes, and who may say what is better
        higher = (stand == "better") == score.get("higher_is_better", True)
        return f"<small class='stand'>trained is {'higher' if higher else 'lower'}</small>"
    return f"<small class='stand {stand}'>trained is {stand}</small>"


def _plot(score: Mapping[str, Any]) -> str:
    """Intervals on one axis; coordinates are per cent, so that text and dots keep their size at any width."""
    values = {
        key: score[key] for key in ("trained", "untrained", "raw") if score.get(key) and _known(score[key].get("value"))
    }
    seen = [v[end] for v in values.values() for end in ("value", "low", "high") if _known(v.get(end))]
    seen += [score["chance"]] if _known(score.get("chance")) else []
    if not seen:
        return ""
    left, right = axis(seen)

    def at(x: float) -> str:
        return f"{3 + 94 * (x - left) / (right - left):.2f}%"

    marks = ["<line class='axis' x1='3%' x2='97%' y1='41' y2='41'/>"]
    marks += [
        f"<text x='{at(x)}' y='53' class='{side}'>{round_number(x)}</text>"
        for x, side in ((left, "start"), (right, "end"))
    ]
    if _known(score.get("chance")):
        marks.append(f"<line class='chance' x1='{at(score['chance'])}' x2='{at(score['chance'])}' y1='2' y2='41'/>")
    for y, key in ((8, "trained"), (20, "untrained"), (32, "raw")):
        if key not in values:
            continue
        value = values[key]
        if _known(value.get("low")) and _known(value.get("high")):
            marks.append(f"<line class='{key}' x1='{at(value['low'])}' x2='{at(value['high'])}' y1='{y}' y2='{y}'/>")
        marks.append(_dot(key, at(value["value"]), y))
    said = ", ".join(
        f"{k} {number(v['value'])} {interval(v.get('low'), v.get('high'))}".strip() for k, v in values.items()
    )
    return f"<svg class='intervals' role='img' aria-label='{esc(label(score))}: {said}'>{''.join(marks)}</svg>"


def axis(values: Sequence[float]) -> tuple[float, float]:
    """0 to 1 where all lie there, else their range with some room."""
    low, high = min(values), max(values)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    room = 0.08 * (high - low) or abs(high) * 0.1 or 1.0
    return low - room if low < 0 or low > room else 0.0, high + room


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _dot(key: str, x: str, y: int) -> str:
    """Told apart by form as well as by colour."""
    if key == "raw":
        return f"<svg x='{x}' y='{y}' overflow='visible'><rect class='raw' x='-4' y='-4' width='8' height='8'/></svg>"
    return f"<circle class='{key}' cx='{x}' cy='{y}' r='{5 if key == 'trained' else 4.5}'/>"


def _legend() -> str:
    def piece(key: str, words: str) -> str:
        return (
            f"<span class='key'><svg width='12' height='12' aria-hidden='true'>{_dot(key, '6', 6)}</svg>{words}</span>"
        )

    dashes = "<svg width='8' height='12' aria-hidden='true'><line class='chance' x1='4' x2='4' y1='0' y2='12'/></svg>"
    chance = f"<span class='key'>{dashes}chance</span>"
    return piece("trained", "trained") + piece("untrained", "untrained") + piece("raw", "raw") + chance
