"""Export of a run to a temporary folder, which is renamed when complete."""

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
    """Result of an export.

    Attributes:
        folder: Folder that was written.
        facts: Facts by name: parity, sizes, how to load it.
    """

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
    """Exports a run to the format of another library.

    Args:
        run: The run to export.
        to: Target: "onnx", "sentence-transformers", "hub", "state-dict", or "module:Class" of your own.
        out: New or empty folder. None: RUN/exports/TARGET, which is replaced.
        settings: Settings of the target. None: its defaults.
        data: Rows to check the result on. None: the run's own data.

    Returns:
        The folder, and facts about its files.

    Raises:
        UserError: A folder that is not empty or not writable, or a run that the target cannot represent.
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
    """Writes the target and turns any error of a converter, SystemExit included, into a UserError."""
    try:
        return target.write(subject, folder)
    except (UserError, OSError):
        raise
    except (Exception, SystemExit) as error:  # converters of other libraries raise errors of any type
        words = (str(error).splitlines() or [""])[0][:200]
        raise UserError(
            f"{to}: this run cannot be exported in this format ({type(error).__name__}: {words}). "
            "Weights alone: --to state-dict."
        ) from error
