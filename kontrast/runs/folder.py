"""The run folder: where everything of a run lies, and how it is written so that no half file is ever found there."""

import contextlib
import errno
import hashlib
import itertools
import json
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kontrast.core import reading
from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment
from kontrast.core.whole import whole

QUARANTINE = "quarantine.csv"
TRAINED_ON = "trained_on.safetensors"  # hashes of the rows trained on: eight bytes a row and field
Checkpoint = tuple[dict[str, torch.Tensor], dict[str, Any]]  # tensors and plain numbers
# Of each step, what the report and a resumed run rely on.
MOMENT = {"step": int, "loss?": (int, float), "total?": int, "seconds?": (int, float), "health?": dict}
LONGEST = 60  # characters of a name made from the data's: four bytes each at most, of the 255 that disks allow
KEPT = 2  # checkpoints: the newest, and the one before it in case the newest is damaged


@dataclass(frozen=True)
class Folder:
    """experiment.json, environment.json, data.json, moments.jsonl, checkpoints/, encoder/, banks/, scores.json,
    report.html.

    Files are written under another name, flushed to disk and renamed: whoever opens the folder, even after a crash,
    finds whole files only. writes: False where another process of the same run does the writing; reading is the same.
    """

    path: Path
    writes: bool = True

    @staticmethod
    def fresh(where: Path | None, name: str) -> "Folder":
        """A new folder: `where`, or runs/NAME-1, runs/NAME-2, ... whichever is free."""
        try:
            return Folder(_numbered(name) if where is None else _emptied(where))
        except OSError as error:
            raise UserError(
                f"cannot make the run folder {error.filename}: {error.strerror}. Name another with --out."
            ) from error

    @property
    def go_on(self) -> str:
        """What to type to continue this run."""
        return f"continue with: kontrast train --resume {shlex.quote(str(self.path))}"

    @staticmethod
    def existing(where: Path) -> "Folder":
        """A folder that holds a run, finished or not."""
        if not (where / "experiment.json").is_file():
            raise UserError(
                f"{where} is no run: there is no experiment.json in it. Runs lie under runs/ unless named otherwise."
            )
        return Folder(where)

    @property
    def cache(self) -> Path:
        """Where decoded rows lie while the run needs them; removed at its end."""
        return self.path / "cache"

    def discard_unless_begun(self) -> None:
        """Leave nothing behind of a run that never came to its first step, but for what says why (quarantine.csv)."""
        if not self.writes or (self.path / "moments.jsonl").exists():
            return  # begun: the cache too stays, for whoever resumes
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != QUARANTINE:
                entry.unlink()
        with contextlib.suppress(OSError):  # quarantine.csv is in it
            self.path.rmdir()

    def experiment(self) -> Experiment:
        """The experiment of the run, everything resolved."""
        file = self.path / "experiment.json"
        found = Experiment.from_json(reading.text(file), str(file))
        self._refuse_own_code(found)
        return found

    def _refuse_own_code(self, experiment: Experiment) -> None:
        """A class that experiment.json names is looked for where the user keeps his code, never in the folder itself,
        which may come from a stranger.
        """
        named = [experiment.method, experiment.plan.optimiser, *experiment.scores]
        named += [*experiment.views.values(), *experiment.encoders.values()]
        strange = [one.name for one in named if ":" in one.name]
        here = self.path.resolve()
        if strange and any(Path(place or ".").resolve().is_relative_to(here) for place in ("", *sys.path)):
            raise UserError(
                f"{self.path / 'experiment.json'} names code, '{strange[0]}', and code is never loaded from inside of "
                "a run folder. Go to a folder of your own, where that code is yours."
            )

    def write(self, name: str, content: str | bytes) -> Path:
        """A whole file, or none."""
        target = self.path / name
        if self.writes:
            with whole(target) as aside:
                aside.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def append(self, name: str, line: str) -> None:
        """One line more; a reader forgives a last one that a crash cut off."""
        if self.writes:
            with (self.path / name).open("a", encoding="utf8") as out:
                out.write(line)

    def save_tensors(self, name: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Path:
        """A whole safetensors file, or none."""
        target = self.path / name
        if self.writes:
            save_tensors(tensors, target, metadata)
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
        return reading.tree(reading.text(file), f"{file} is damaged: it")

    def moments(self) -> list[dict[str, Any]]:
        """All moments so far; a last line cut off by a crash is left out."""
        file = self.path / "moments.jsonl"
        if not file.is_file():
            return []
        return list(_whole(reading.text(file).split("\n"), str(file)))

    def save_checkpoint(self, tensors: dict[str, torch.Tensor], numbers: dict[str, Any]) -> Path:
        """A checkpoint with the hash of its tensors; older ones beyond two are removed."""
        folder = self.path / "checkpoints"
        target = folder / f"{numbers['step']:09d}.safetensors"
        if not self.writes:
            return target
        folder.mkdir(exist_ok=True)
        save_tensors(tensors, target, {"numbers": json.dumps(numbers)})
        self.write(f"checkpoints/{target.stem}.sha256", hashlib.sha256(target.read_bytes()).hexdigest() + "\n")
        for old in sorted(folder.glob("*.safetensors"))[:-KEPT]:
            old.unlink()
            old.with_suffix(".sha256").unlink(missing_ok=True)
        return target

    def newest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that is intact; None where there is none yet."""
        files = sorted((self.path / "checkpoints").glob("*.safetensors"), reverse=True)
        for file in files:
            mark = file.with_suffix(".sha256")
            if mark.is_file() and mark.read_text().strip() == hashlib.sha256(file.read_bytes()).hexdigest():
                tensors = load_tensors(file)
                return tensors, reading.shaped(reading.tree(_numbers(file), str(file)), {"step": int}, str(file))
        if files:
            raise UserError(
                f"no checkpoint in {self.path / 'checkpoints'} is intact ({len(files)} damaged); train anew."
            )
        return None


def save_tensors(tensors: dict[str, torch.Tensor], target: Path, metadata: dict[str, str] | None = None) -> None:
    """A safetensors file, whole or not at all."""
    held = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    with whole(target) as aside:
        try:
            save_file(held, aside, metadata=metadata)
        except SafetensorError as error:  # its word for a full disk too
            raise OSError(errno.EIO, str(error)) from error


def load_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Back from `save_tensors`; safetensors only, never a pickle."""
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} cannot be read as safetensors: {error}.") from error


def _emptied(where: Path) -> Path:
    """That folder, made if need be; what a refused run left in it is removed."""
    where.mkdir(parents=True, exist_ok=True)
    if {file.name for file in where.iterdir()} - {QUARANTINE}:
        raise UserError(f"{where} exists and is not empty; name a new folder, or continue it with --resume {where}.")
    (where / QUARANTINE).unlink(missing_ok=True)
    return where


def _numbered(name: str) -> Path:
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:LONGEST].strip(".-") or "run"
    for number in itertools.count(1):
        path = Path("runs") / f"{stem}-{number}"
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return path
    raise AssertionError  # numbers do not end


def _numbers(file: Path) -> str:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return (opened.metadata() or {}).get("numbers", "")


def _whole(lines: list[str], who: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            moment = reading.tree(line, who)
        except UserError:
            return
        yield reading.shaped(moment, MOMENT, f"{who}, line {number}")
