"""Table of scores: trained beside untrained, raw features and chance, with intervals drawn."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from kontrast.core.number_format import NO_INTERVAL, interval, number, round_number
from kontrast.evaluation.metric_result import RAW
from kontrast.evaluation.standing import label, standing
from kontrast.reporting.page.safe import esc

BASELINES: tuple[tuple[Literal["untrained", "raw"], str], ...] = (("untrained", "untrained"), ("raw", "raw features"))


HEADLINES = 5


def scores(
    rows: Sequence[Mapping[str, Any]], not_evaluated: Sequence[tuple[str, str]], fields: Sequence[str] = ()
) -> str:
    """Cross-field retrieval as a matrix, headline scores, the rest folded, and scores not evaluated.

    Args:
        rows: Table of scores; may be empty.
        not_evaluated: Names of scores that were not measured, and why.
        fields: Fields of the run, in their order.

    Returns:
        HTML, or "" if there is nothing to show.
    """
    crossed = {row["field"]: row for row in reversed(rows) if " R@" in str(row["name"]) and _ends(row, fields)}
    merit = [row for row in rows if row.get("chance") is not None and not _describes(row)]
    whole = [row for row in merit if row.get("field") is None]
    leading = (whole or [row for row in merit if row["field"] not in crossed])[:HEADLINES]
    shown = [id(row) for row in (*leading, *crossed.values())]
    rest = [row for row in rows if id(row) not in shown]
    parts = [_matrix(crossed, fields)] if crossed else []
    parts += [_table(leading)] if leading else []
    if rest:
        more = f"{number(len(rest))} {'more ' if leading or crossed else ''}number{'s' if len(rest) > 1 else ''}"
        parts.append(f"<details class='rest'><summary>{more}</summary>{_table(rest)}</details>")
    if rows:
        parts.append(
            "<p class='note'>Brackets hold the number on other test rows like these in 95 of 100 cases; the encoder "
            "and its seed stay. Scores of too few rows have none. “Better” and “worse” appear only where the interval "
            "of the difference over the same rows excludes 0. Alignment, uniformity, rank and spread only describe the "
            "embeddings: none of their values is good or bad by itself.</p>"
        )
    if not_evaluated:
        items = "".join(f"<li><b>{esc(name)}</b> {esc(reason)}</li>" for name, reason in not_evaluated)
        parts.append(f"<details class='rest'><summary>Not evaluated</summary><ul class='plain'>{items}</ul></details>")
    return "".join(parts)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th scope='col'>{h}</th>" for h in ("Score", "Trained", "Untrained", "Raw features", "Chance"))
    return (
        f"<table class='scores'><thead><tr>{head}<th scope='col' class='wide'>{_legend()}</th></tr></thead>"
        f"<tbody>{''.join(_row(row) for row in rows)}</tbody></table>"
    )


def _ends(row: Mapping[str, Any], fields: Sequence[str]) -> tuple[str, str] | None:
    """Fields that a number goes from and to; None for a number within one field."""
    pairs = ((one, other) for one in fields for other in fields)
    return next(((one, other) for one, other in pairs if row.get("field") == f"{one}>{other}"), None)


def _matrix(crossed: Mapping[str, Mapping[str, Any]], fields: Sequence[str]) -> str:
    """Matrix of R@k, a row per query field and a column per searched field."""
    first = next(iter(crossed.values()))
    name = str(first["name"]).rsplit(" ", 1)[-1]
    head = "".join(f"<th scope='col'>{esc(field)}</th>" for field in fields)
    body = "".join(
        f"<tr><th scope='row'>{esc(one)}</th>"
        + "".join(_crossing(crossed.get(f"{one}>{other}"), one == other) for other in fields)
        + "</tr>"
        for one in fields
    )
    return (
        f"<div class='scroll'><table class='matrix'><caption>{esc(name)} of {number(first.get('rows') or 0)} rows: how "
        "often the row itself is found first, asked with a field (left) among another (above)</caption>"
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _crossing(score: Mapping[str, Any] | None, same: bool) -> str:
    if score is None:
        return f"<td>{'' if same else '–'}</td>"
    beside = [f"untrained {number(score['untrained']['value'])}"] if score.get("untrained") else []
    beside += [f"chance {number(score['chance'])}"] if score.get("chance") is not None else []
    words = "".join(f"<small class='beside'>{word}</small>" for word in beside)
    return f"<td><b>{_value(score.get('trained'))}</b>{words}</td>"


def _describes(score: Mapping[str, Any]) -> bool:
    """Whether a score describes a shape or distance, of which no value is better."""
    return score.get("chance") is None or score.get("score") == "geometry"


def _row(score: Mapping[str, Any]) -> str:
    tagged = label(score) != str(score["name"])
    name = esc(score["name"]) + (f" <span class='tag'>{esc(score['field'])}</span>" if tagged else "")
    small = [f"{number(score['rows'])} rows"] if score.get("rows") else []
    small += [] if score.get("higher_is_better", True) else ["lower is better"]
    cells = [
        f"<th scope='row'>{name}<small>{' · '.join(small)}</small></th>",
        f"<td data-head='Trained'><b>{_value(score.get('trained'))}</b></td>",
        *(
            f"<td data-head='{words.capitalize()}'>{_value(score.get(key))}{_rule(score, key)}{_stand(score, key)}</td>"
            for key, words in BASELINES
        ),
        f"<td data-head='Chance'>{number(score.get('chance'))}</td>",
        f"<td class='wide'>{_plot(score)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _value(value: Mapping[str, Any] | None) -> str:
    if not value:
        return "–"
    bounds = interval(value.get("low"), value.get("high")) or (NO_INTERVAL if _known(value.get("value")) else "")
    return number(value.get("value")) + (f" <small>{bounds}</small>" if bounds else "")


def _rule(score: Mapping[str, Any], key: str) -> str:
    """Names a baseline that is no raw features, in its cell."""
    name = score.get("raw_name") or RAW
    return f"<small class='stand'>{esc(name)}</small>" if key == "raw" and name != RAW else ""


def _stand(score: Mapping[str, Any], key: Literal["untrained", "raw"]) -> str:
    stand = standing(score, key)
    if stand is None or _describes(score):
        return ""
    if stand == "even":
        return "<small class='stand'>no clear difference</small>"
    return f"<small class='stand {stand}'>trained is {stand}</small>"


def _plot(score: Mapping[str, Any]) -> str:
    """Intervals on one axis, in per cent to keep text and dots at one size."""
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
    """Range of an axis: 0 to 1 if that holds all values, else padded."""
    low, high = min(values), max(values)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    room = 0.08 * (high - low) or abs(high) * 0.1 or 1.0
    return low - room if low < 0 or low > room else 0.0, high + room


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _dot(key: str, x: str, y: int) -> str:
    """Marker of a value, distinguished by shape as well as colour."""
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
