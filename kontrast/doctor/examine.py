"""Runs every examination on data that is read as training would read it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kontrast.core import factory, registry, untrusted_json
from kontrast.core.atomic_files import atomic_write, named, writable
from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task
from kontrast.data.dataset.dataset import prepare
from kontrast.doctor.case import Case
from kontrast.doctor.examination import LEVELS, Examination, Finding
from kontrast.recipes.choosing import resolve
from kontrast.reporting.logger import Logger, NullLogger
from kontrast.runs.build import modalities_of
from kontrast.runs.folder.folder import Folder
from kontrast.runs.teachers.taught import with_teachers
from kontrast.training.launcher import alone, usual_device

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
    """Examines data for problems before training.

    Only a few steps on copies of the model are trained. The parameters are those of `kontrast.train`, so that the
    examined experiment is the one that would run.

    Args:
        data: Path, table or arrays. None: the data of the recipe.
        label: Name of the label column. None: guessed from the columns.
        fields: Kind of each column to override, such as {"notes": "ignore"}. None: guessed from the content.
        recipe: Name of the recipe. None: chosen from the data.
        settings: Settings of the experiment to override. None: those of the recipe.
        seed: Seed of the experiment. None: that of the recipe.
        out: Folder for doctor.json and views.png. None: no files are written.
        logger: Receives progress. None: no output.

    Returns:
        All findings, most severe first.

    Raises:
        UserError: Data that cannot be read or holds nothing to learn from, or an invalid setting.
    """
    logger = logger or NullLogger()
    asked: Experiment = registry.load("recipes", recipe)() if recipe else Experiment(tasks=one_task())
    asked = asked if seed is None else replace(asked, seed=seed)
    data = asked.source.data if data is None else data
    if isinstance(data, str) and data == "memory":
        raise UserError("nothing to examine: name a path, or pass a table or arrays.")
    folder = None if out is None else named(Path(out))
    if folder is not None:
        writable(folder / FILE)
    with tempfile.TemporaryDirectory(prefix="kontrast-") as cache:
        frame, found, experiment, chosen = resolve(
            data, asked, recipe=recipe, label=label, fields=fields, settings=settings, cache=Path(cache)
        )
        modalities = modalities_of(experiment)
        dataset = prepare(
            frame,
            found,
            modalities,
            source=replace(experiment.source, quarantine=1.0),  # examine data that training would refuse, too
            seed=experiment.seed,
            cache=Path(cache),
            fit=True,
            progress=lambda done, total: logger.progress("reading", done, total),
        )
        if not len(dataset):
            raise UserError(f"{frame.name}: none of its {len(frame):,} rows can be used: {dataset.quarantined[0][-1]}")
        dataset = with_teachers(dataset, frame, experiment, Folder(Path(cache)), alone(usual_device()), logger)
        case = Case(frame, found, dataset, modalities, experiment, chosen, folder)
        findings = _ordered(case, logger)
    if folder is not None:
        write(findings, folder)
    return findings


def examinations() -> list[Examination]:
    """Instances of all examinations, in their order."""
    made: list[Examination] = [factory.build("doctor", name, {}) for name in registry.kinds("doctor")]
    return sorted(made, key=lambda one: one.place)


def write(findings: Sequence[Finding], folder: Path) -> Path:
    """Writes doctor.json, shown by the report of a run in that folder; returns its path."""
    path = folder / FILE
    with atomic_write(path) as aside:
        aside.write_text(untrusted_json.written(to_json(findings), 2) + "\n", encoding="utf8")
    return path


def to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as plain JSON values."""
    return [{**asdict(finding), "rows": list(finding.rows)} for finding in findings]


def exit_code(findings: Sequence[Finding], *, strict: bool = False) -> int:
    """Exit code of the command: 1 for an error (strict: or a warning), else 0."""
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
