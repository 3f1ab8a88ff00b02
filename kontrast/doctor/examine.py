"""examine: any data, read as a run would read it, under every examination of this folder."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kontrast.core import factory, registry, untrusted_json
from kontrast.core.atomic_files import atomic_write, named, writable
from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment
from kontrast.data.dataset.dataset import prepare
from kontrast.doctor.case import Case
from kontrast.doctor.examination import LEVELS, Examination, Finding
from kontrast.recipes.choosing import settle
from kontrast.reporting.logger import Logger, NullLogger
from kontrast.runs.model import modalities_of

FILE = "doctor.json"


def examine(
    data: object = None,
    *,
    label: str | None = None,
    fields: Mapping[str, str] | None = None,
    recipe: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    logger: Logger | None = None,
) -> list[Finding]:
    """All findings on the data, the gravest first; nothing is trained but a few steps on copies.

    data, label, fields, recipe, settings, seed: as in `kontrast.train`, so that what is examined is what would be run;
    without data, what the recipe brings.
    out: a folder for doctor.json and views.png; None leaves nothing behind. Raises UserError where nothing can be read
    or nothing can be learned from.
    """
    logger = logger or NullLogger()
    asked: Experiment = registry.load("recipes", recipe)() if recipe else Experiment(method=Choice(""))
    asked = asked if seed is None else replace(asked, seed=seed)
    data = asked.source.data if data is None else data
    if isinstance(data, str) and data == "memory":
        raise UserError("nothing to examine: name a path, or hand over a table or arrays.")
    folder = None if out is None else named(Path(out))
    if folder is not None:
        writable(folder / FILE)
    with tempfile.TemporaryDirectory(prefix="kontrast-") as cache:
        frame, found, experiment, told = settle(
            data, asked, recipe=recipe, label=label, fields=fields, settings=settings, cache=Path(cache)
        )
        modalities = modalities_of(experiment)
        dataset = prepare(
            frame,
            found,
            modalities,
            source=replace(experiment.source, quarantine=1.0),  # what training would refuse is looked at all the same
            seed=experiment.seed,
            cache=Path(cache),
            fit=True,
            progress=lambda done, total: logger.progress("reading", done, total),
        )
        if not len(dataset):
            raise UserError(f"{frame.name}: none of its {len(frame):,} rows can be used: {dataset.quarantined[0][-1]}")
        case = Case(frame, found, dataset, modalities, experiment, told, folder)
        findings = _ordered(case, logger)
    if folder is not None:
        write(findings, folder)
    return findings


def examinations() -> list[Examination]:
    """One of each of this folder, in their order."""
    made: list[Examination] = [factory.build("doctor", name, {}) for name in registry.kinds("doctor")]
    return sorted(made, key=lambda one: one.place)


def write(findings: Sequence[Finding], folder: Path) -> Path:
    """doctor.json: what the report of a run in that folder shows."""
    path = folder / FILE
    with atomic_write(path) as aside:
        aside.write_text(untrusted_json.written(to_json(findings), 2) + "\n", encoding="utf8")
    return path


def to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings as plain values."""
    return [{**asdict(finding), "rows": list(finding.rows)} for finding in findings]


def exit_code(findings: Sequence[Finding], *, strict: bool = False) -> int:
    """1 where there is an error, or (strict) a warning; else 0."""
    bad = {"error", "warning"} if strict else {"error"}
    return int(any(finding.level in bad for finding in findings))


def _ordered(case: Case, logger: Logger) -> list[Finding]:
    found: list[Finding] = []
    todo = examinations()
    for done, one in enumerate(todo):
        logger.progress("examining", done, len(todo))
        found += one(case)
    logger.progress("examining", len(todo), len(todo))
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))
