"""Section of a run of several tasks: what each would have reached alone, and their losses and gradients."""

from collections.abc import Mapping, Sequence
from typing import Any

from kontrast.core.number_format import interval, number
from kontrast.reporting.page.charts import curve
from kontrast.reporting.page.safe import esc

_TONES = {"BETTER": "better", "WORSE": "worse"}
_SAID = {"BETTER": "helped by the others", "WORSE": "hurt by the others"}


def section(
    moments: Sequence[Mapping[str, Any]], alone: Mapping[str, Any], tasks: Sequence[str], path: str = ""
) -> str:
    """Which task helped which, then charts of each task.

    Args:
        moments: Step records as plain values.
        alone: Contents of alone.json; empty if no task was trained alone.
        tasks: Names of the tasks of the run.
        path: The run folder as a command names it.

    Returns:
        HTML; "" for a run of one task.
    """
    if len(tasks) < 2:
        return ""
    return (_helped(alone) if alone else _hint(tasks, path)) + _charts(moments, tasks)


def _hint(tasks: Sequence[str], path: str) -> str:
    cost = f"{len(tasks)} further trainings of this length"
    return (
        f"<p class='note'>What each task would have reached alone was not measured: <code>kontrast alone {esc(path)}"
        f"</code> takes {cost}, and its result is shown here.</p>"
    )


def _helped(alone: Mapping[str, Any]) -> str:
    said = "".join(f"<li>{esc(one['words'])}</li>" for one in alone["tasks"].values())
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("Task", "Alone", "Together", "Difference", ""))
    rows = "".join(_row(task, line) for task, one in alone["tasks"].items() for line in one["lines"])
    table = f"<table class='scores'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    return f"<p class='note'>{esc(alone['head'])}</p><ul class='plain'>{said}</ul>{table}"


def _row(task: str, line: Mapping[str, Any]) -> str:
    change, verdict = line["difference"], line["verdict"]
    value = change.get("value")
    sign = "+" * (value is not None and value > 0)
    stand = f"<small class='stand {_TONES.get(verdict, '')}'>{_SAID.get(verdict, 'no clear difference')}</small>"
    return (
        f"<tr><th scope='row'>{esc(task)}<small>{esc(line['name'])}</small></th>"
        f"<td data-head='Alone'>{_value(line['alone'])}</td>"
        f"<td data-head='Together'><b>{_value(line['together'])}</b></td>"
        f"<td data-head='Difference'>{sign}{_value(change)}</td><td data-head='Verdict'>{stand}</td></tr>"
    )


def _value(value: Mapping[str, Any]) -> str:
    bounds = interval(value.get("low"), value.get("high"))
    return number(value.get("value")) + (f" <small>{bounds}</small>" if bounds else "")


def _charts(moments: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> str:
    """Loss, gradient norm and factor of each task, and cosine of each pair of tasks; those that were recorded."""
    made = []
    for task in tasks:
        losses = [{"step": m.get("step"), task: _loss(m.get("terms") or {}, task)} for m in moments]
        made.append(curve(losses, task, f"Loss of {esc(task)}", "sum of its terms, before its weight"))
    kinds = (
        ("factors", "Factor of {}", "by which the aggregator multiplies its loss or gradient"),
        ("norms", "Gradient of {}", "norm at the parameters that tasks share"),
        ("cosines", "Angle of {}", "cosine of their gradients; below 0 they conflict"),
    )
    for key, title, note in kinds:
        for name in dict.fromkeys(name for m in moments for name in m.get(key) or {}):
            points = [{"step": m.get("step"), name: (m.get(key) or {}).get(name)} for m in moments]
            made.append(curve(points, name, title.format(esc(name.replace("/", " and "))), note))
    charts = "".join(filter(None, made))
    return f"<div class='charts'>{charts}</div>" if charts else ""


def _loss(terms: Mapping[str, float], task: str) -> float | None:
    """Sum of the terms of a task; None if it had no anchor in the step."""
    mine = [value for name, value in terms.items() if name.partition(".")[0] == task]
    return sum(mine) if mine else None
