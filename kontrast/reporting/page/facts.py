"""Tables of plain facts about the data, and how to repeat the run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kontrast.core.number_format import many, number, share
from kontrast.reporting.page.safe import esc, finite

MOST_BARS = 30
KNOWN = {"rows", "fields", "missing", "quarantined", "duplicates", "splits", "labels", "fingerprint", "recipe"}


def data(facts: Mapping[str, Any]) -> str:
    """Fields, splits, missing, quarantined and duplicate rows, and labels; other facts as they are."""
    missing = facts.get("missing") or {}
    parts = [
        _summary(facts),
        _fields(facts.get("fields") or {name: {} for name in missing}, missing, facts.get("rows")),
        _quarantine(facts.get("quarantined") or []),
        _bars(facts.get("labels") or {}),
    ]
    return "".join(parts)


def views(rows: Sequence[Mapping[str, Any]]) -> str:
    """Each row in the original and as augmented in training."""
    several = len({row.get("field") for row in rows}) > 1

    def field(row: Mapping[str, Any]) -> str:
        return f"<small>{esc(row['field'])}</small>" if several and row.get("field") else ""

    return "".join(
        f"<div class='views'><figure class='card asked'><div class='thumb'>{row['original']}</div>"
        f"<figcaption><small title='{esc(row['id'])}'>{esc(row['id'])}</small>{field(row)}</figcaption></figure>"
        + "".join(
            f"<figure class='card'><div class='thumb'>{view}</div>"
            f"<figcaption><small>view {i}</small></figcaption></figure>"
            for i, view in enumerate(row["views"], 1)
        )
        + "</div>"
        for row in rows
    )


def replay(command: str, experiment: Mapping[str, Any], environment: Mapping[str, Any]) -> str:
    """Command, environment, and all settings of the run."""
    known = {k: v for k, v in environment.items() if k != "command"}
    words = " ".join(
        f"<span>{esc(word)}</span>" for word in command.split(" ")
    )  # lines break between words, never at a hyphen
    text = json.dumps(finite(dict(experiment)), indent=2, ensure_ascii=False, default=str)
    return (
        f"<div class='command'><pre><code id='command'>{words}</code></pre>"
        "<button type='button' class='copy' data-copy='command'>Copy</button></div>"
        + (f"<h3>Environment</h3>{_table(known)}" if known else "")
        + f"<details class='json'><summary>experiment.json</summary><pre><code>{esc(text)}</code></pre></details>"
    )


def _summary(facts: Mapping[str, Any]) -> str:
    splits = facts.get("splits") or {}
    shown: dict[str, Any] = {"rows": facts.get("rows")}
    if splits:
        shown["split"] = " · ".join(f"{number(n)} {name}" for name, n in splits.items())
    recipe = facts.get("recipe")
    shown["recipe"] = f"{recipe.get('name')}: {recipe.get('why')}" if isinstance(recipe, Mapping) else recipe
    shown["duplicates"] = facts.get("duplicates")
    shown["fingerprint"] = facts.get("fingerprint")
    shown |= {k: v for k, v in facts.items() if k not in KNOWN}
    return _table({k: v for k, v in shown.items() if v is not None})


def _fields(fields: Mapping[str, Any], missing: Mapping[str, int], rows: int | None) -> str:
    if not fields:
        return ""
    body = []
    for name, field in fields.items():
        lacks = missing.get(name) or 0
        part = f"{number(lacks)} <small>{share(lacks / rows)}</small>" if lacks and rows else number(lacks)
        body.append(
            f"<tr><th scope='row'>{esc(name)}</th><td><span class='tag'>{esc(field.get('kind', ''))}</span></td>"
            f"<td>{esc(field.get('why') or '')}</td><td class='figure'>{part}</td></tr>"
        )
    head = "".join(f"<th scope='col'>{h}</th>" for h in ("Field", "Kind", "Why"))
    return (
        f"<h3>Fields</h3><div class='scroll'><table class='facts'><thead><tr>{head}"
        "<th scope='col' class='figure'>Missing</th></tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _quarantine(rows: Sequence[Mapping[str, Any]]) -> str:
    """Reasons of quarantine, most frequent first, each with some of its rows."""
    if not rows:
        return ""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(str(row.get("reason", "")), []).append(str(row.get("id", "")))
    items = "".join(
        f"<li><b>{number(len(ids))}</b> {esc(reason)} "
        f"<small>{esc(', '.join(ids[:3]))}{' …' if len(ids) > 3 else ''}</small></li>"
        for reason, ids in sorted(reasons.items(), key=lambda item: -len(item[1]))
    )
    return f"<h3>{many(len(rows), 'row')} quarantined</h3><ul class='plain'>{items}</ul>"


def _bars(labels: Mapping[str, int]) -> str:
    if not labels:
        return ""
    most, total = max(max(labels.values()), 1), sum(labels.values())
    ordered = sorted(labels.items(), key=lambda item: -item[1])
    bars = "".join(
        f"<li><span class='name' title='{esc(name)}'>{esc(name) or 'no label'}</span>"
        f"<span class='bar'><i style='width:{100 * n / most:.1f}%'></i></span>"
        f"<span class='figure'>{number(n)}</span></li>"
        for name, n in ordered[:MOST_BARS]
    )
    rest = ordered[MOST_BARS:]
    more = (
        f"<p class='note'>and {many(len(rest), 'label')} more, {many(sum(n for _, n in rest), 'row')}</p>"
        if rest
        else ""
    )
    least = max(ordered[-1][1], 1)
    skew = f", the largest {number(most / least)} times the smallest" if len(ordered) > 1 and most > least else ""
    summary = f"{many(len(ordered), 'label')}, {many(total, 'row')}{skew}"
    return f"<h3>Labels</h3><p class='note'>{summary}</p><ol class='bars'>{bars}</ol>{more}"


def _table(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<div><dt>{esc(k.replace('_', ' '))}</dt><dd>{_cell(v)}</dd></div>" for k, v in facts.items())
    return f"<dl class='pairs'>{rows}</dl>"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = [
            f"{esc(k)} ({_cell(v)})" if isinstance(v, Mapping) else f"{esc(k)} {_cell(v)}" for k, v in value.items()
        ]
        return " · ".join(parts)
    if isinstance(value, list | tuple):
        return esc(", ".join(map(str, value)))
    return esc(number(value) if isinstance(value, int | float) else value)
