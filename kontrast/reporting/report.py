"""HTML report of a run: one self-contained page, from the verdict to the replay command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kontrast.core.atomic_files import atomic_write
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.number_format import clock, many, number
from kontrast.evaluation.verdict import claim, tone
from kontrast.reporting.page import doctor, facts, tasks
from kontrast.reporting.page.captions import captions
from kontrast.reporting.page.charts import curves, validation
from kontrast.reporting.page.gallery import gallery
from kontrast.reporting.page.map import layout, map_section
from kontrast.reporting.page.safe import esc
from kontrast.reporting.page.scores import scores
from kontrast.reporting.page.sheet import sheet
from kontrast.reporting.page.shelf import Shelf


@dataclass(frozen=True)
class Story:
    """Contents of a report as plain values; empty parts are left out of the page.

    HTML snippets are inserted as they are; all other text is escaped. The page's policy lets no snippet run code or
    fetch.

    Attributes:
        title: Name of the run.
        command: Command that replays it exactly.
        experiment: Contents of experiment.json.
        environment: Contents of environment.json.
        data: {"rows": n, "fields": {name: {"kind", "why"}}, "missing": {name: n}, "quarantined": [{"id", "reason"}],
            "duplicates": text or n, "splits": {name: n}, "labels": {name: n}, "recipe": {"name", "why"}, "fingerprint":
            text}; each may be absent or None, other keys are listed as they are.
        moments: {"step", "loss", "rate": rows per second, "wait": share, "seconds": since the start, "health": None or
            {"effective_rank", "spread", "alignment", "uniformity"}} per step.
        looks: {"step", "seconds", "cost", "rows", "values": {name: number}} per evaluation of validation rows.
        verdict: {"state", "words": the sentence, "causes": [text], "offer": text or ""}, as `Verdict.to_json` gives it.
        scores: Rows {"score": evaluator, "name", "field": text or None, "trained": {"value", "low", "high"}, "raw" and
            "untrained": the same or None, "rows": n, "chance": number or None, "higher_is_better": bool, "paired":
            absent
            or {"raw" | "untrained": {"value", "low", "high"} of trained minus baseline over the same rows}}.
        not_evaluated: (score, reason) pairs.
        bank: Embeddings of the test rows.
        thumbnails: Field -> one HTML snippet, or None, per row of `bank`.
        views: {"id", "original": html, "views": [html]} and, if there are several fields, "field".
        captions: {"rows": n, "loss" and "shuffled": nats per token, "shown": [{"row": number in `bank`, "field",
            "said", "true"}]}.
        doctor: Findings of `kontrast doctor --out RUN`.
        alone: What each task alone reached, as `kontrast alone RUN` writes it; empty if that was not asked for.
        path: The run folder as a command names it.
    """

    title: str
    command: str
    experiment: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    moments: Sequence[Mapping[str, Any]] = ()
    looks: Sequence[Mapping[str, Any]] = ()
    verdict: Mapping[str, Any] = field(default_factory=dict)
    scores: Sequence[Mapping[str, Any]] = ()
    not_evaluated: Sequence[tuple[str, str]] = ()
    bank: EmbeddingTable | None = None
    thumbnails: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    views: Sequence[Mapping[str, Any]] = ()
    captions: Mapping[str, Any] = field(default_factory=dict)
    doctor: Sequence[Mapping[str, Any]] = ()
    alone: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""


def write_report(story: Story, path: Path) -> Path:
    """Writes the page atomically; takes seconds, most of them for the map.

    Args:
        story: Contents.
        path: File to write.

    Returns:
        The path.
    """
    path = Path(path)
    with atomic_write(path) as aside:
        aside.write_text(page(story), encoding="utf8", errors="backslashreplace")
    return path


def page(story: Story) -> str:
    """Whole page as HTML; equal contents give equal bytes."""
    shelf = Shelf(story.thumbnails)
    bank = story.bank if story.bank is not None and len(story.bank) else None
    width = None if bank is None else max(z.shape[1] for z in bank.z.values())
    near = "" if bank is None else gallery(bank, shelf)  # before the map, so that its thumbnails get the budget first
    map_data = None if bank is None else layout(bank, shelf)
    named = story.experiment.get("tasks") or {}
    sections = [
        ("verdict", "Verdict", _verdict(story)),
        ("space", "Map", "" if map_data is None else map_section(map_data, shelf.left_out)),
        ("nearest", "Neighbours", near),
        ("scores", "Scores", scores(story.scores, story.not_evaluated, [] if bank is None else list(bank.z))),
        ("captions", "Captions", captions(story.captions, story.thumbnails)),
        ("curves", "Training", curves(story.moments, width)),
        ("tasks", "Tasks", tasks.section(story.moments, story.alone, list(named), story.path)),
        ("validation", "Validation", validation(story.looks)),
        (
            "views",
            "Views",
            _lead("Each row as it is, and as the encoder met it in training.", facts.views(story.views)),
        ),
        ("doctor", "Doctor", doctor.section(story.doctor)),
        ("data", "Data", facts.data(story.data) if story.data else ""),
        ("replay", "Replay", facts.replay(story.command, story.experiment, story.environment)),
    ]
    return sheet(story.title, "kontrast run", sections, shelf.snippets)


def _verdict(story: Story) -> str:
    state = str(story.verdict.get("state") or "not evaluated")
    head, rest = claim(str(story.verdict.get("words") or "Not evaluated: no score was measured."))
    offer = story.verdict.get("offer") or ""
    causes = "".join(f"<li>{esc(cause)}</li>" for cause in story.verdict.get("causes") or ())
    facts_line = "".join(f"<div><dt>{esc(k)}</dt><dd>{esc(v)}</dd></div>" for k, v in _facts(story).items())
    return (
        f"<p class='claim {tone(state)}'>{esc(head)} </p><p class='reason'>{esc(rest)}</p>"
        + (f"<p class='reason offer'>{esc(offer)}</p>" if offer else "")
        + (f"<h3>Likely causes, the likeliest first</h3><ol class='causes'>{causes}</ol>" if causes else "")
        + (f"<dl class='strip'>{facts_line}</dl>" if facts_line else "")
    )


def _facts(story: Story) -> dict[str, str]:
    """Facts of the run for one line: data, recipe, steps, time and test rows."""
    last = story.moments[-1] if story.moments else {}
    recipe = story.data.get("recipe") or story.experiment.get("method") or {}
    shown = {
        "rows": number(story.data["rows"]) if story.data.get("rows") is not None else "",
        "recipe": str(recipe.get("name", "")) if isinstance(recipe, Mapping) else str(recipe),
        "steps": number(last["step"]) if last.get("step") is not None else "",
        "time": clock(last["seconds"]) if last.get("seconds") is not None else "",
        "evaluated on": _evaluated(len(story.bank), story.data.get("held_out")) if story.bank is not None else "",
    }
    return {k: v for k, v in shown.items() if v}


def _evaluated(rows: int, of: int | None) -> str:
    """Number of test rows evaluated, and of how many they are a sample."""
    return many(rows, "test row") if of is None or of <= rows else f"{number(rows)} of {many(of, 'test row')}"


def _lead(words: str, body: str) -> str:
    return f"<p class='note'>{words}</p>{body}" if body else ""
