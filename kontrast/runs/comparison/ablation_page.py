"""Files of an ablation's result: Markdown for a paper or an issue, and one self-contained page."""

from pathlib import Path

from kontrast.core.atomic_files import atomic_write
from kontrast.core.number_format import clock, interval, number
from kontrast.reporting.page.safe import esc
from kontrast.reporting.page.sheet import sheet
from kontrast.runs.comparison.ablation import write
from kontrast.runs.comparison.ablation_result import Line, Outcome, Result

_TONES = {"BETTER": "better", "WORSE": "worse", "COLLAPSED": "worse", "FAILED": "worse"}
_MARKS = {"BETTER": " ▲", "WORSE": " ▼"}


def write_ablation(made: Result, folder: Path, command: str) -> list[Path]:
    """Writes ablation.md, ablation.json and ablation.html.

    Args:
        made: The result.
        folder: Folder of the ablation.
        command: The command that repeats it.

    Returns:
        The three paths.
    """
    files = [folder / f"ablation.{kind}" for kind in ("md", "json", "html")]
    for file, text in ((files[0], markdown(made, command)), (files[2], page(made, command))):
        with atomic_write(file) as aside:
            aside.write_text(text, encoding="utf8", errors="backslashreplace")
    write(files[1], made.to_json())
    return files


def markdown(made: Result, command: str) -> str:
    """The result as Markdown: a line per arm, causes, then every number of every arm."""
    lead = next(one.lines[0].name for one in made.outcomes if one.lines)
    head = f"| arm | {_cell(lead)} | difference | verdict | training per seed |\n| --- | --- | --- | --- | --- |\n"
    rows = "".join(
        f"| `{_cell(one.arm.name)}` | {one.lines[0].words if one.lines else '–'} "
        f"| {one.lines[0].change if one.lines else ''} | {one.verdict.lower() or 'the recipe'} "
        f"| {clock(one.seconds)} |\n"
        for one in made.outcomes
    )
    causes = "".join(f"- `{_cell(one.arm.name)}` {one.verdict.lower()} {one.why}\n" for one in made.outcomes if one.why)
    causes += "\n" if causes else ""
    arms = "".join(f" `{_cell(one.arm.name)}` |" for one in made.outcomes)
    table = f"| number |{arms}\n| --- |{' --- |' * len(made.outcomes)}\n" + "".join(
        f"| {_cell(name)} |{''.join(f' {_short(one, name)} |' for one in made.outcomes)}\n" for name in _names(made)
    )
    return (
        f"# Ablation of {made.outcomes[0].arm.name}\n\n{made.head}\n\n{head}{rows}\n{causes}{made.note}\n\n"
        f"## All numbers\n\nMeans over seeds; ▲ better and ▼ worse than the recipe.\n\n{table}\n"
        f"Repeated by `{command}`\n"
    )


def page(made: Result, command: str) -> str:
    """The result as one HTML page."""
    sections = [
        ("arms", "Arms", _arms(made)),
        ("numbers", "All numbers", _numbers(made)),
        ("replay", "Replay", f"<pre>{esc(command)}</pre>"),
    ]
    return sheet(f"Ablation of {made.outcomes[0].arm.name}", "kontrast ablate", sections, [])


def _arms(made: Result) -> str:
    ends = [abs(end) for one in made.outcomes if one.lines for end in one.lines[0].apart or ()]
    reach = max(ends, default=0.0)
    lead = next(one.lines[0].name for one in made.outcomes if one.lines)
    body = "".join(_arm(one, reach) for one in made.outcomes)
    return (
        f"<p class='note'>{esc(made.head)}</p><table class='scores against'><thead><tr><th scope='col'>Arm</th>"
        f"<th scope='col'>{esc(lead)}</th><th scope='col'>Difference</th><th scope='col'></th>"
        "<th scope='col' class='wide'>worse <span class='end'>better</span></th></tr></thead>"
        f"<tbody>{body}</tbody></table><p class='note'>{esc(made.note)}</p>"
    )


def _arm(one: Outcome, reach: float) -> str:
    lead = one.lines[0] if one.lines else None
    small = f"<small>{esc(one.why)}</small>" if one.why else f"<small>{clock(one.seconds)} per seed</small>"
    verdict = f"<span class='stand {_TONES.get(one.verdict, '')}'>{one.verdict.lower()}</span>" if one.verdict else ""
    return (
        f"<tr><th scope='row'>{esc(one.arm.name)}{small}</th>"
        f"<td data-head='Mean'><b>{number(lead.value) if lead else '–'}</b>"
        f" <small>{interval(lead.low, lead.high) if lead else ''}</small></td>"
        f"<td data-head='Difference'>{lead.change if lead else ''}</td><td data-head='Verdict'>{verdict}</td>"
        f"<td class='wide'>{_plot(one.arm.name, lead, reach) if lead and lead.apart else ''}</td></tr>"
    )


def _plot(name: str, line: Line, reach: float) -> str:
    """The interval of the difference on an axis shared by all arms; better is to the right."""
    sign = 1 if line.higher_is_better else -1
    assert line.apart is not None
    assert line.difference is not None
    low, high = sorted(sign * end for end in line.apart)
    tone = {"BETTER": "better", "WORSE": "worse"}.get(line.verdict, "same")

    def at(x: float) -> str:
        return f"{50 + 46 * x / (reach or 1):.2f}%"

    return (
        f"<svg class='apart' role='img' aria-label='{esc(name)}: {line.verdict.lower()}'>"
        "<line class='axis' x1='4%' x2='96%' y1='12' y2='12'/><line class='zero' x1='50%' x2='50%' y1='1' y2='23'/>"
        f"<line class='{tone}' x1='{at(low)}' x2='{at(high)}' y1='12' y2='12'/>"
        f"<circle class='{tone}' cx='{at(sign * line.difference)}' cy='12' r='4.5'/></svg>"
    )


def _numbers(made: Result) -> str:
    head = "".join(f"<th scope='col'>{esc(one.arm.name)}</th>" for one in made.outcomes)
    body = "".join(
        f"<tr><th scope='row'>{esc(name)}</th>{''.join(f'<td>{_short(one, name)}</td>' for one in made.outcomes)}</tr>"
        for name in _names(made)
    )
    return (
        "<p class='note'>Means over seeds; ▲ better and ▼ worse than the recipe.</p>"
        f"<table class='scores'><thead><tr><th scope='col'>Number</th>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _names(made: Result) -> list[str]:
    """Names of all numbers, in the order of the first arm that has each."""
    return list(dict.fromkeys(line.name for one in made.outcomes for line in one.lines))


def _short(one: Outcome, name: str) -> str:
    line = next((line for line in one.lines if line.name == name), None)
    return "–" if line is None else number(line.value) + _MARKS.get(line.verdict, "")


def _cell(words: str) -> str:
    """Text inside a cell of a Markdown table."""
    return words.replace("|", "\\|")
