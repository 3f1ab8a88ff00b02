"""The cells of a league as markdown: each contestant's scores, and kontrast's verdict on each set."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.league import found
from benchmarks.league.verdict import BETTER, SAME, WORSE, Difference, compare, row_scores

OURS = {"kontrast": ("peer", "plain", "pretrained"), "kontrast_minilm": ("pretrained",)}
"""Ours -> the standing of those it is compared with. What began from pretrained weights meets its like alone."""

Cell = Mapping[str, Any]


def read(folder: Path) -> list[Cell]:
    """Every finished cell."""
    return [json.loads(path.read_text(encoding="utf8")) for path in sorted(folder.glob("*.json"))]


def markdown(cells: Iterable[Cell]) -> str:
    """The table of scores, then one line that counts the verdicts."""
    by_set: dict[str, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        by_set[cell["set"]][cell["contestant"]].append(cell)
    order = sorted(by_set, key=lambda name: (_kind(by_set[name]), name))
    lines = [
        "| set | rows | contestant | steps | CPU s | first | second | kontrast's difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in order:
        lines += _rows(name, by_set[name])
    return "\n".join([*lines, "", *summary(by_set)])


def summary(by_set: Mapping[str, Mapping[str, list[Cell]]]) -> list[str]:
    """Per kind of data and ours: against how many peers of how many sets it is better, the same, worse."""
    counts: dict[tuple[str, str, str], dict[str, list[str]]] = defaultdict(lambda: {BETTER: [], SAME: [], WORSE: []})
    for name, arms in by_set.items():
        for ours, rival, difference in differences(arms):
            counts[_kind(arms), ours, rival][difference.verdict].append(name)
    lines = ["| kind | ours | against | BETTER | SAME | WORSE |", "|---|---|---|---|---|---|"]
    for (kind, ours, rival), found_ in sorted(counts.items()):
        cells = (f"{len(sets)}{': ' + ', '.join(sorted(sets)) if sets else ''}" for sets in found_.values())
        lines.append(f"| {kind} | {_title(ours)} | {_title(rival)} | {' | '.join(cells)} |")
    return lines


def differences(arms: Mapping[str, list[Cell]]) -> list[tuple[str, str, Difference]]:
    """(ours, rival, the paired difference) of one set, for every pair that is compared."""
    made = []
    for ours, standings in OURS.items():
        for rival in arms:
            if ours in arms and rival != ours and _standing(rival) in standings:
                made.append((ours, rival, compare(_scores(arms[ours]), _scores(arms[rival]))))
    return made


def _rows(name: str, arms: Mapping[str, list[Cell]]) -> list[str]:
    held = defaultdict(list)
    for ours, rival, difference in differences(arms):
        besides = "" if ours == "kontrast" else f"{_title(ours)} "
        held[rival].append(f"{besides}{difference} **{difference.verdict}**")
    lines = []
    for place, contestant in enumerate(sorted(arms, key=lambda c: (_rank(c), c))):
        cells = arms[contestant]
        one = cells[0]
        means = [f"{m} {np.mean([np.mean(c['measures'][m]) for c in cells]):.3f}" for m in one["measures"]]
        steps = f"{np.mean([c['facts']['steps'] for c in cells]):.0f}" if "steps" in one["facts"] else ""
        seconds = f"{np.mean([c['fit_seconds'] for c in cells]):.0f}" if steps else ""
        rows = " + ".join(f"{n:,}" for n in one["rows"])
        first = (f"{name} ({one['kind']}{', ' + one['note'] if one['note'] else ''})", rows) if not place else ("", "")
        lines.append(
            f"| {first[0]} | {first[1]} | {_title(contestant)} | {steps} | {seconds} | {' | '.join(means)} | "
            f"{'; '.join(held[contestant])} |"
        )
    return lines


def _scores(cells: Iterable[Cell]) -> list[np.ndarray]:
    return [row_scores({name: np.asarray(rows) for name, rows in cell["measures"].items()}) for cell in cells]


def _kind(arms: Mapping[str, list[Cell]]) -> str:
    return next(iter(arms.values()))[0]["kind"]


def _title(contestant: str) -> str:
    return found.contestants()[contestant].title


def _standing(contestant: str) -> str:
    return found.contestants()[contestant].standing


def _rank(contestant: str) -> int:
    return ["ours", "peer", "plain", "ours, pretrained", "pretrained"].index(_standing(contestant))
