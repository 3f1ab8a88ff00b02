"""The catalogue of runs under a folder: lists, sorts and tags them."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Experiment, Source
from kontrast.core.number_format import number
from kontrast.core.task_choice import one_task
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder
from kontrast.runs.folder.lock import LOCK

DEEP = 3  # levels of folders searched below the given one; runs/ holds runs directly
TAGS = "tags.json"
COLUMNS = ("run", "data", "recipe", "verdict", "score", "steps", "minutes", "size", "tags")


@dataclass(frozen=True)
class Entry:
    """A run in the catalogue; values that the run does not have yet are None.

    Attributes:
        path: The run folder.
        data: Name of the data.
        recipe: Name of the recipe or method.
        verdict: State of its verdict, "unfinished", or "damaged".
        score_name: Name of the leading score; for a damaged run the reason.
        score: Value of the leading score.
        low: Lower end of its interval.
        high: Upper end of its interval.
        higher_is_better: Whether larger scores are better.
        steps: Number of steps taken.
        minutes: Minutes of training.
        size: Bytes on disk.
        changed: Time of the last change in the folder, in seconds since 1970.
        tags: Tags of the run.
        rows: A fingerprint, equal for runs on the same rows and labels.
        merit: Whether the score can be better or worse, rather than only describe.
    """

    path: Path
    data: str
    recipe: str
    verdict: str
    score_name: str
    score: float | None
    low: float | None
    high: float | None
    higher_is_better: bool
    steps: int | None
    minutes: float | None
    size: int
    changed: float
    tags: tuple[str, ...]
    rows: str
    merit: bool

    @property
    def finished(self) -> bool:
        """Whether the run was evaluated."""
        return self.verdict not in ("unfinished", "damaged")

    def to_json(self) -> dict[str, Any]:
        """The entry as plain values, for scripts."""
        return {**asdict(self), "path": str(self.path), "tags": list(self.tags)}


def catalogue(roots: Iterable[Path] = (Path("runs"),), *, sort: str = "run", tag: str | None = None) -> list[Entry]:
    """Lists all runs at or under some folders, finished or not.

    Args:
        roots: The folders; one that does not exist holds no run.
        sort: A column of COLUMNS, or "changed": largest number first, names from a to z; "-" in front reverses it.
        tag: Lists only runs with this tag. Default: all.

    Raises:
        UserError: There is no such column.
    """
    name, turned = sort.removeprefix("-"), sort.startswith("-")
    if name not in (*COLUMNS, "changed"):
        raise UserError(f"runs cannot be sorted by '{name}'{did_you_mean(name, (*COLUMNS, 'changed'))}")
    entries = [entry(path) for root in roots for path in _found(root, DEEP)]
    entries = [one for one in entries if tag is None or tag in one.tags]
    entries.sort(key=lambda one: str(one.path))
    known = [one for one in entries if _key(one, name) is not None]
    numbers = name in ("score", "steps", "minutes", "size", "changed")
    known.sort(key=lambda one: _key(one, name), reverse=numbers != turned)
    return known + [one for one in entries if _key(one, name) is None]  # what has no such value comes last either way


def entry(path: Path) -> Entry:
    """Reads the entry of a run folder; a damaged run is listed as damaged."""
    folder = Folder(path)
    data = recipe = rows = ""
    steps = minutes = score = None
    verdict, score_name = "unfinished", ""
    begun = (path / "experiment.json").is_file()
    try:
        experiment = folder.experiment() if begun else Experiment(tasks=one_task(), source=Source(data=""))
        data, recipe = Path(experiment.source.data).name, experiment.names
        known = run_json.data(folder) if (path / "data.json").is_file() else {}
        data, recipe = known.get("name", data), known.get("recipe", {}).get("name", recipe)
        rows = " ".join(str(known.get("fingerprint", {}).get(part)) for part in ("ids", "labels"))
        if (path / "scores.json").is_file():
            scores = run_json.scores(folder)
            verdict, steps, minutes = scores["verdict"]["state"], scores["steps"], scores["seconds"] / 60
            score = leading(scores["scores"])
            score_name = score["name"] if score else ""
        elif moment := _last(folder.metrics):
            steps, minutes = moment["step"], moment["seconds"] / 60
    except (UserError, OSError, LookupError, TypeError, AttributeError, ValueError) as error:
        verdict, score_name = "damaged", str(error)
    value = score["trained"] if score else {"value": None, "low": None, "high": None}
    size, changed = _weight(path)
    return Entry(
        path,
        data,
        recipe,
        verdict,
        score_name,
        value["value"],
        value["low"],
        value["high"],
        score["higher_is_better"] if score else True,
        steps,
        minutes,
        size,
        changed,
        tags(path),
        rows,
        bool(score and score["chance"] is not None),
    )


def leading(scores: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The first score with a baseline, else the first score, or None."""
    measured = [s for s in scores if s["trained"] and s["trained"]["value"] is not None]
    return next((s for s in measured if s["raw"] or s["untrained"]), next(iter(measured), None))


def tags(path: Path) -> tuple[str, ...]:
    """Reads the tags of a run from its folder."""
    try:
        found = json.loads((path / TAGS).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return ()
    return tuple(str(tag) for tag in found) if isinstance(found, list) else ()


def retag(path: Path, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> tuple[str, ...]:
    """Adds and removes tags of a run.

    Args:
        path: The run folder.
        add: Tags to add: a word or a few, without commas.
        remove: Tags to remove; one that the run does not have is ignored.

    Returns:
        All tags of the run, sorted.

    Raises:
        UserError: A tag is empty or holds a comma, or there is no run at `path`.
    """
    folder = Folder.existing(path)
    new, old = list(add), set(remove)
    for tag in new:
        if not tag.strip() or any(c in tag for c in ",\n\t"):
            raise UserError(f"{tag!r} is no tag; expected a word or a few, without commas.")
    kept = tuple(sorted({*tags(path), *(tag.strip() for tag in new)} - old))
    folder.write_json(TAGS, list(kept))
    return kept


def lines(entries: Sequence[Entry]) -> Iterator[str]:
    """Lines of a table for the terminal, one per run."""
    if not entries:
        yield "no runs here; train one: kontrast train DATA"
        return
    rows = [COLUMNS, *(_cells(one) for one in entries)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def bytes_(size: float) -> str:
    """A number of bytes as text: `812 kB`, `1.2 GB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _cells(one: Entry) -> tuple[str, ...]:
    known = "" if one.low is None or one.high is None else f" [{number(one.low)}, {number(one.high)}]"
    return (
        str(one.path),
        one.data,
        one.recipe,
        one.verdict,
        one.score_name if one.score is None else f"{one.score_name} {number(one.score)}{known}",
        number(one.steps),
        "–" if one.minutes is None else f"{one.minutes:.1f}",
        bytes_(one.size),
        ", ".join(one.tags),
    )


def _key(one: Entry, name: str) -> Any:
    if name == "tags":
        return ", ".join(one.tags) or None
    return str(one.path) if name == "run" else vars(one)[name]


def _found(root: Path, deep: int) -> Iterator[Path]:
    """Finds run folders, those of killed starts included; skips links and hidden folders."""
    if (root / "experiment.json").is_file() or (root / LOCK).is_file():
        yield root
    elif deep >= 0 and root.is_dir():
        for child in sorted(root.iterdir()):
            if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
                yield from _found(child, deep - 1)


def _weight(path: Path) -> tuple[int, float]:
    """Bytes of all files, and the time of the last change."""
    size, changed = 0, 0.0
    for where, _, names in os.walk(path):
        for name in names:
            try:
                state = os.lstat(os.path.join(where, name))
            except FileNotFoundError:  # a run in progress replaces its files
                continue
            size, changed = size + state.st_size, max(changed, state.st_mtime)
    return size, changed


def _last(file: Path) -> dict[str, Any] | None:
    """The last whole line of metrics.jsonl, without reading the others."""
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - 20_000))
        tail = opened.read().split(b"\n")
    for text in reversed(tail):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None
