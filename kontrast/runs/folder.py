"""The run folder: where everything of a run lies, and how it is written so that no half file is ever found there."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment

KEPT = 2  # checkpoints: the newest, and the one before it in case the newest is damaged


@dataclass(frozen=True)
class Folder:
    """experiment.json, environment.json, data.json, moments.jsonl, checkpoints/, encoder/, banks/, scores.json, report.html.

    Files are written under another name, flushed to disk and renamed: whoever opens the folder, even after a crash, finds
    whole files only.
    """

    path: Path

    @staticmethod
    def fresh(where: Path | None, name: str) -> "Folder":
        """A new folder: `where`, or runs/NAME-1, runs/NAME-2, ... whichever is free."""
        if where is not None:
            if where.is_file() or (where.exists() and any(where.iterdir())):
                raise UserError(
                    f"{where} exists and is not empty; name a new folder, or continue it with --resume {where}."
                )
            where.mkdir(parents=True, exist_ok=True)
            return Folder(where)
        stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "run"
        number = 1
        while True:
            path = Path("runs") / f"{stem}-{number}"
            try:
                path.mkdir(parents=True)
                return Folder(path)
            except FileExistsError:
                number += 1

    @staticmethod
    def existing(where: Path) -> "Folder":
        """A folder that holds a run, finished or not."""
        if not (where / "experiment.json").is_file():
            raise UserError(
                f"{where} is no run: there is no experiment.json in it. Runs lie under runs/ unless named otherwise."
            )
        return Folder(where)

    def experiment(self) -> Experiment:
        """The experiment of the run, everything resolved."""
        file = self.path / "experiment.json"
        return Experiment.from_json(file.read_text(encoding="utf8"), str(file))

    def write(self, name: str, content: str | bytes) -> Path:
        """A whole file, or none."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(target.name + ".part")
        try:
            with aside.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise UserError(
                f"cannot write {target}: {error.strerror}. Free some space or name another folder."
            ) from error
        return target

    def write_json(self, name: str, value: Any) -> Path:
        """Indented JSON."""
        return self.write(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any:
        """What `write_json` wrote."""
        file = self.path / name
        if not file.is_file():
            raise UserError(
                f"{file} is missing: the run did not get that far. Finish it with kontrast train --resume {self.path}."
            )
        return json.loads(file.read_text(encoding="utf8"))

    def moments(self) -> list[dict[str, Any]]:
        """All moments so far; a last line cut off by a crash is left out."""
        file = self.path / "moments.jsonl"
        if not file.is_file():
            return []
        lines = file.read_text(encoding="utf8").splitlines()
        return list(_whole(lines))

    def save_checkpoint(self, tensors: dict[str, torch.Tensor], numbers: dict[str, Any]) -> Path:
        """A checkpoint with the hash of its tensors; older ones beyond two are removed."""
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        target = folder / f"{numbers['step']:09d}.safetensors"
        save_tensors({k: v for k, v in tensors.items()}, target, {"numbers": json.dumps(numbers)})
        self.write(f"checkpoints/{target.stem}.sha256", hashlib.sha256(target.read_bytes()).hexdigest() + "\n")
        for old in sorted(folder.glob("*.safetensors"))[:-KEPT]:
            old.unlink()
            old.with_suffix(".sha256").unlink(missing_ok=True)
        return target

    def newest_checkpoint(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The newest checkpoint that is intact; None where there is none yet."""
        files = sorted((self.path / "checkpoints").glob("*.safetensors"), reverse=True)
        for file in files:
            mark = file.with_suffix(".sha256")
            if mark.is_file() and mark.read_text().strip() == hashlib.sha256(file.read_bytes()).hexdigest():
                return load_tensors(file), json.loads(_metadata(file)["numbers"])
        if files:
            raise UserError(
                f"no checkpoint in {self.path / 'checkpoints'} is intact ({len(files)} damaged); train anew."
            )
        return None


def save_tensors(tensors: dict[str, torch.Tensor], target: Path, metadata: dict[str, str] | None = None) -> None:
    """A safetensors file, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(target.name + ".part")
    whole = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    try:
        save_file(whole, aside, metadata=metadata)
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(target)
    except (OSError, SafetensorError) as error:
        aside.unlink(missing_ok=True)
        raise UserError(f"cannot write {target}: {error}. Free some space or name another folder.") from error


def load_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Back from `save_tensors`; safetensors only, never a pickle."""
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} cannot be read as safetensors: {error}.") from error


def _metadata(file: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return opened.metadata()


def _whole(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return
