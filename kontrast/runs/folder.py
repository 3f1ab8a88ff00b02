"""The run folder: where everything of a run lies, and how it is written so that no half file is ever found there."""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kontrast.core import renamed, untrusted_json
from kontrast.core.atomic_files import atomic_write, named, spelled
from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment, refuse_code
from kontrast.runs.lock import HOLDER, LOCK, held, in_use

QUARANTINE = "quarantine.csv"
TRAINED_ON = "trained_on.safetensors"  # hashes of the rows trained on: eight bytes a row and field
TARGETS = "encoder/targets.json"  # what is known of the training rows and of what they could be learnt from
TOTALS = "totals.json"
THREADS = "threads.json"
Checkpoint = tuple[dict[str, torch.Tensor], dict[str, Any]]  # tensors and plain numbers
_STEP = "[0-9]" * 9 + ".safetensors"  # its name is its step
# Of each step, what the report and a resumed run rely on.
MOMENT = {"step": int, "loss?": (int, float), "total?": int, "seconds?": (int, float), "health?": dict}
LONGEST = 60  # characters of a name made from the data's: four bytes each at most, of the 255 that disks allow
KEPT = 2  # checkpoints: the newest, and the one before it in case the newest is damaged


@dataclass(frozen=True)
class Folder:
    """experiment.json, environment.json, data.json, metrics.jsonl, checkpoints/, encoder/, embeddings/, scores.json,
    report.html.

    Files are written under another name, flushed to disk and renamed: whoever opens the folder, even after a crash,
    finds whole files only. writes: False where another process of the same run does the writing; reading is the same.
    trusts: whether code that experiment.json names, `my_lab.ideas:MyLoss`, may be loaded; else it is refused.
    """

    path: Path
    writes: bool = True
    trusts: bool = False

    @property
    def metrics(self) -> Path:
        """The file of numbers per training step, one JSON object per line."""
        return renamed.file(self.path, "metrics.jsonl")

    @property
    def embeddings(self) -> Path:
        """The folder of embedding tables that the run was evaluated with."""
        return renamed.file(self.path, "embeddings")

    @staticmethod
    def fresh(where: Path | None, name: str) -> "Folder":
        """A new folder: `where`, or runs/NAME-1, runs/NAME-2, ... whichever is free."""
        try:
            return Folder(_numbered(name) if where is None else _emptied(named(where)), trusts=True)
        except OSError as error:
            raise UserError(
                f"cannot make the run folder {error.filename}: {error.strerror}. Name another with --out."
            ) from error

    @property
    def go_on(self) -> str:
        """What to type to continue this run."""
        return f"continue with: kontrast train --resume {shlex.quote(str(self.path))}"

    @staticmethod
    def existing(where: Path, trusts: bool = False) -> "Folder":
        """A folder that holds a run, finished or not."""
        spelled(where)
        if (where / LOCK).is_file() and not (where / "experiment.json").is_file():
            if using := in_use(where):
                raise UserError(f"{where} is in use: {using}.")
            raise UserError(
                f"{where} was stopped before it was settled what to train, so there is nothing to go on from. Begin it "
                f"anew: kontrast train DATA --out {shlex.quote(str(where))}"
            )
        if not (where / "experiment.json").is_file():
            raise UserError(
                f"{where} is no run: there is no experiment.json in it. Runs lie under runs/ unless named otherwise."
            )
        return Folder(where, trusts=trusts)

    @property
    def cache(self) -> Path:
        """Where decoded rows lie while the run needs them; removed at its end."""
        return self.path / "cache"

    @contextlib.contextmanager
    def held(self, doing: str) -> Iterator[None]:
        """No other process writes here meanwhile; UserError where one does. What a killed one left half-written goes.

        doing: in words, for the one that is refused.
        """
        if not self.writes:
            yield
            return
        with held(self.path, doing) as locked:
            if locked:
                self._sweep()
            yield

    def _sweep(self) -> None:
        """Files and folders under the names that they have while they are written: nobody writes them any more."""
        for part in [*self.path.glob("*.part"), *self.path.glob("*/*.part"), *self.cache.glob("**/*.part-*")]:
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)

    def drop_cache(self) -> None:
        """The run needs no decoded rows any more."""
        shutil.rmtree(self.cache, ignore_errors=True)

    def discard_unless_begun(self) -> None:
        """Leave nothing behind of a run that never came to its first step, but for what says why (quarantine.csv)."""
        if not self.writes or self.metrics.exists():
            return  # begun: the cache too stays, for whoever resumes
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != QUARANTINE:
                entry.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # quarantine.csv is in it
            self.path.rmdir()

    def experiment(self) -> Experiment:
        """The experiment of the run, everything resolved."""
        file = self.path / "experiment.json"
        text = untrusted_json.text(file)
        found = Experiment.from_json(text, str(file))
        if '"validation"' not in text:  # begun before there were validation rows, which were trained on
            found = replace(found, source=replace(found.source, validation=0))
        if not self.trusts:  # a folder may come from a stranger, and so may the code that it names
            refuse_code(found, str(file))
        return found

    def write(self, name: str, content: str | bytes) -> Path:
        """A whole file, or none."""
        target = self.path / name
        if self.writes:
            with atomic_write(target) as aside:
                aside.write_bytes(content.encode("utf8", "backslashreplace") if isinstance(content, str) else content)
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
        return self.write(name, untrusted_json.written(value, 2) + "\n")

    def read_json(self, name: str) -> Any:
        """What `write_json` wrote."""
        file = self.path / name
        if not file.is_file():
            using = in_use(self.path)
            raise UserError(
                f"{file} is missing: the run did not get that far. "
                + (f"It goes on: {using}." if using else f"Finish it with kontrast train --resume {self.path}.")
            )
        return untrusted_json.tree(untrusted_json.text(file), f"{file} is damaged: it")

    def moments(self) -> list[dict[str, Any]]:
        """All moments so far; a last line cut off by a crash is left out."""
        file = self.metrics
        if not file.is_file():
            return []
        return list(_whole(untrusted_json.text(file).split("\n"), str(file)))

    def totals(self) -> dict[int, int]:
        """Of the replay of a run of some minutes: how many steps it was to have, as planned anew after these steps."""
        return dict(self.read_json(TOTALS)) if (self.path / TOTALS).is_file() else {}

    def threads(self) -> dict[int, int] | None:
        """Of a replay: after which steps the run that it repeats went on with how many threads; None for any other."""
        return dict(self.read_json(THREADS)) if (self.path / THREADS).is_file() else None

    def settle(self, name: str) -> None:
        """What was appended to that file is on disk when this returns."""
        if self.writes and (self.path / name).is_file():
            with (self.path / name).open("rb+") as file:
                os.fsync(file.fileno())

    def save_checkpoint(self, tensors: dict[str, torch.Tensor], numbers: dict[str, Any]) -> Path:
        """A checkpoint and the hash of it; what is neither it nor the intact one before it goes.

        The hash is there first: whenever the process is killed, a checkpoint under its name is a whole one.
        """
        folder = self.path / "checkpoints"
        target = folder / f"{numbers['step']:09d}.safetensors"
        if not self.writes:
            return target
        with atomic_write(target) as aside:
            _save(tensors, aside, {"numbers": json.dumps(numbers)})
            self.write(f"checkpoints/{target.stem}.sha256", _hash(aside) + "\n")
        _thin(target)
        return target

    def newest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that is intact; None where there is none yet."""
        files = sorted((self.path / "checkpoints").glob(_STEP), reverse=True)
        for file in files:
            if _intact(file):
                if self.writes:  # a process that was killed may have saved it and not come to remove the older ones
                    _thin(file)
                tensors = load_tensors(file)
                return tensors, untrusted_json.shaped(
                    untrusted_json.tree(_numbers(file), str(file)), {"step": int}, str(file)
                )
            if self.writes:  # without its hash it no longer counts as one of those to keep
                file.with_suffix(".sha256").unlink(missing_ok=True)
        if files:
            raise UserError(
                f"no checkpoint in {self.path / 'checkpoints'} is intact ({len(files)} damaged). Remove that folder to "
                "resume from the first step, or train anew."
            )
        return None


def _thin(newest: Path) -> None:
    """What is neither this checkpoint nor the ones to keep before it goes."""
    # Later steps than this one were passed over when the run was resumed: they are damaged.
    good = [f for f in sorted(newest.parent.glob(_STEP)) if f <= newest and f.with_suffix(".sha256").is_file()]
    for old in newest.parent.glob(f"{_STEP.split('.')[0]}.*"):
        if old.with_suffix(".safetensors") not in good[-KEPT:]:
            old.unlink()


def save_tensors(tensors: dict[str, torch.Tensor], target: Path, metadata: dict[str, str] | None = None) -> None:
    """A safetensors file, whole or not at all."""
    with atomic_write(target) as aside:
        _save(tensors, aside, metadata)


def _save(tensors: dict[str, torch.Tensor], file: Path, metadata: dict[str, str] | None) -> None:
    held = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    try:
        save_file(held, file, metadata=metadata)
    except SafetensorError as error:  # its word for a full disk too
        raise OSError(errno.EIO, str(error)) from error


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _intact(checkpoint: Path) -> bool:
    """Whether it is what its hash was taken of; what the disk cannot read is not."""
    try:
        return checkpoint.with_suffix(".sha256").read_bytes().strip() == _hash(checkpoint).encode()
    except OSError:
        return False


def load_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Back from `save_tensors`; safetensors only, never a pickle."""
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} cannot be read as safetensors: {error}.") from error


def _emptied(where: Path) -> Path:
    """That folder, made if need be; what a refused run left in it is removed, or one killed before it was settled."""
    where.mkdir(parents=True, exist_ok=True)
    found = {file.name for file in where.iterdir() if file.suffix != ".part"}
    known = {QUARANTINE, LOCK, HOLDER, "cache", "environment.json"} if LOCK in found else {QUARANTINE}
    if found - known:
        raise UserError(f"{where} exists and is not empty; name a new folder, or continue it with --resume {where}.")
    if LOCK in found:
        with held(where, "beginning anew"):
            shutil.rmtree(where / "cache", ignore_errors=True)
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
            moment = untrusted_json.tree(line, who)
        except UserError:
            return
        yield untrusted_json.shaped(moment, MOMENT, f"{who}, line {number}")
