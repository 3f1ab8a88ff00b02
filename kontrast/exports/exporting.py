"""From a run to a folder of files for others: build the target, write aside, rename."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kontrast.core import find
from kontrast.core.errors import UserError
from kontrast.exports.export import Export, Subject
from kontrast.runs.folder import Folder
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
    target: Export = find.build("exports", name, dict(settings or {}))
    folder = run.path / "exports" / to.replace(":", "-") if out is None else out
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not empty; name a new folder.")
    subject = Subject(run, Model.load(Folder(run.path)), data)
    aside = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        facts = dict(target.write(subject, aside))
        if folder.is_dir():
            shutil.rmtree(folder)
        aside.replace(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}. Name another place with --out.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Exported(folder, facts | dict(target.sent(folder)))
