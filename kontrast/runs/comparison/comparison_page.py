"""The HTML page of a comparison: verdicts, scores, changed settings, and maps with linked rows."""

from pathlib import Path

from kontrast.core.atomic_files import atomic_write
from kontrast.core.number_format import many, number
from kontrast.reporting.page.map import POINTS, layout, map_section
from kontrast.reporting.page.safe import esc
from kontrast.reporting.page.sheet import sheet
from kontrast.reporting.page.shelf import Shelf
from kontrast.runs.comparison.compare import Comparison, Line, Pair

TONES = {"BETTER": "good", "WORSE": "bad"}


def write_comparison(made: Comparison, path: Path) -> Path:
    """Writes a comparison as one self-contained HTML file, atomically; takes seconds, mostly for the maps.

    Args:
        made: The comparison.
        path: The file to write.

    Returns:
        The path.
    """
    with atomic_write(Path(path)) as aside:
        aside.write_text(page(made), encoding="utf8", errors="backslashreplace")
    return Path(path)


def page(made: Comparison) -> str:
    """HTML of a comparison; the same comparison gives the same bytes."""
    shelf = Shelf(made.shared.thumbnails)
    notes = "".join(f"<p class='note'>{esc(note)}</p>" for note in (*made.shared.notes, made.chance))
    sections = [
        ("verdict", "Verdict", "".join(_claim(made, pair) for pair in made.pairs) + _own(made)),
        ("scores", "Numbers", "".join(_table(made, pair) for pair in made.pairs) + notes),
        ("space", "Maps", _maps(made, shelf)),
        ("changed", "Changed", "".join(_changed(made, pair) for pair in made.pairs)),
    ]
    return sheet(" against ".join(reversed(made.names)), "kontrast compare", sections, shelf.snippets)


def _claim(made: Comparison, pair: Pair) -> str:
    lead, names = pair.first, f"{esc(made.names[pair.two])} against {esc(made.names[pair.one])}"
    if lead is None:
        return f"<p class='reason'>{names}: no number in common</p>"
    counted = ((word, pair.count(word)) for word in ("BETTER", "SAME", "WORSE", "HIGHER", "LOWER"))
    every = ", ".join(f"{n} {word.lower()}" for word, n in counted if n)
    return (
        f"<p class='claim {TONES.get(lead.verdict, 'mixed')}'>{lead.verdict.capitalize()}</p>"
        f"<p class='reason'><b>{names}</b>: {esc(lead.name)} {number(lead.two)} against {number(lead.one)}, "
        f"a difference of {_change(lead)}, on {many(made.rows, 'held-out row')} that all runs share. "
        f"Of {many(len(pair.lines), 'number')}: {every}.</p>"
    )


def _own(made: Comparison) -> str:
    """The list of each run's verdict on itself."""
    named = [(name, words) for name, words in zip(made.names, made.verdicts, strict=False) if words]
    items = "".join(f"<li><b>{esc(name)}</b> {esc(words)}</li>" for name, words in named)
    return f"<h3>Each by itself</h3><ul class='plain'>{items}</ul>" if items else ""


def _table(made: Comparison, pair: Pair) -> str:
    reach = max((max(abs(x) for x in _ends(line)) for line in pair.lines if line.merit), default=0.0)
    heads = ("Number", esc(made.names[pair.one]), esc(made.names[pair.two]), "Difference", "")
    head = "".join(f"<th scope='col'>{words}</th>" for words in heads)
    body = "".join(_row(line, reach, made, pair) for line in pair.lines)
    title = f"<h3>{esc(made.names[pair.two])} against {esc(made.names[pair.one])}</h3>" if len(made.pairs) > 1 else ""
    return (
        f"{title}<table class='scores against'><thead><tr>{head}<th scope='col' class='wide'>worse "
        "<span class='end'>better</span></th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _row(line: Line, reach: float, made: Comparison, pair: Pair) -> str:
    small = f"{number(line.rows)} rows" + ("" if line.higher_is_better else " · lower is better") * line.merit
    tone = {"BETTER": "better", "WORSE": "worse"}.get(line.verdict, "")
    return (
        f"<tr><th scope='row'>{esc(line.name)}<small>{small}</small></th>"
        f"<td data-head='{esc(made.names[pair.one])}'>{number(line.one)}</td>"
        f"<td data-head='{esc(made.names[pair.two])}'><b>{number(line.two)}</b></td>"
        f"<td data-head='Difference'>{_change(line)}</td>"
        f"<td data-head='Verdict'><span class='stand {tone}'>{line.verdict.lower()}</span></td>"
        f"<td class='wide'>{_plot(line, reach) if line.merit else ''}</td></tr>"
    )


def _change(line: Line) -> str:
    between = "" if line.low is None else f" <small>[{number(line.low)}, {number(line.high)}]</small>"
    return f"{'+' * (line.difference > 0)}{number(line.difference)}{between}"


def _ends(line: Line) -> tuple[float, float, float]:
    """Low end, value and high end, with the sign that makes larger better."""
    low, high = (line.difference if end is None else end for end in (line.low, line.high))
    return (low, line.difference, high) if line.higher_is_better else (-high, -line.difference, -low)


def _plot(line: Line, reach: float) -> str:
    """The interval on an axis shared by all scores of the pair, in per cent."""

    def at(x: float) -> str:
        return f"{50 + 46 * x / (reach or 1):.2f}%"

    low, value, high = _ends(line)
    tone = {"BETTER": "better", "WORSE": "worse"}.get(line.verdict, "same")
    return (
        f"<svg class='apart' role='img' aria-label='{esc(line.name)}: {line.verdict.lower()}'>"
        "<line class='axis' x1='4%' x2='96%' y1='12' y2='12'/><line class='zero' x1='50%' x2='50%' y1='1' y2='23'/>"
        f"<line class='{tone}' x1='{at(low)}' x2='{at(high)}' y1='12' y2='12'/>"
        f"<circle class='{tone}' cx='{at(value)}' cy='12' r='4.5'/></svg>"
    )


def _maps(made: Comparison, shelf: Shelf) -> str:
    """One map per run of the same rows, which the page's script links."""
    each = POINTS // len(made.names)
    parts = []
    for at, (name, (_, test)) in enumerate(zip(made.names, made.shared.banks, strict=True)):
        data = layout(test, shelf, each)
        parts.append(f"<div><h3>{esc(name)}</h3>{map_section(data, shelf.left_out, f'map-{at}')}</div>")
    return (
        "<p class='note'>The same rows on every map: point at one, and it is marked on the others with its nearest "
        f"there.</p><div class='maps'>{''.join(parts)}</div>"
    )


def _changed(made: Comparison, pair: Pair) -> str:
    items = "".join(f"<li>{esc(change)}</li>" for change in pair.changed) or "<li>no setting differs</li>"
    return f"<h3>{esc(made.names[pair.one])} to {esc(made.names[pair.two])}</h3><ul class='plain'>{items}</ul>"
