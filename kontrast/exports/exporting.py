"""From a run to a folder of files for others: build the target, write aside, rename."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kontrast.core import factory
from kontrast.core.atomic_files import named
from kontrast.core.errors import UserError
from kontrast.exports.export import Export, Subject
from kontrast.runs.model import Model
from kontrast.runs.run import Run


@dataclass(frozen=True)
class Exported:
    """Where it lies, and what to know of it: parity, sizes, how it is loaded."""

    folder: Path
    facts: Mapping[str, Any]


def export(
    run: Run,
    to: str,
    out: Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    data: object = None,
) -> Exported:
    """Write a run for others.

    to: a target of `exports/` ("onnx", "sentence-transformers", "hub", "state-dict"), with its settings. out: a new or
    empty folder; None: RUN/exports/TARGET, which is replaced. data: rows to check the result on; None: the run's own.
    """
    name = to if ":" in to else to.replace("-", "_")
    if out is not None:
        named(out)
    target: Export = factory.build("exports", name, dict(settings or {}))
    folder = run.path / "exports" / to.replace(":", "-") if out is None else out
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not empty; name a new folder.")
    subject = Subject(run, Model.load(run.folder), data)
    aside = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        facts = dict(_written(target, subject, aside, to))
        if folder.is_dir():
            shutil.rmtree(folder)
        aside.replace(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}. Name another place with --out.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Exported(folder, facts | dict(target.sent(folder)))


def _written(target: Export, subject: Subject, folder: Path, to: str) -> Mapping[str, Any]:
    """What the target says of its files; whatever a converter raises, an end of the process too, in one sentence."""
    try:
        return target.write(subject, folder)
    except (UserError, OSError):
        raise
    except (Exception, SystemExit) as error:  # converters raise what they like
        words = (str(error).splitlines() or [""])[0][:200]
        raise UserError(
            f"{to}: this run cannot be exported so ({type(error).__name__}: {words}). Weights alone: --to state-dict."
        ) from error
