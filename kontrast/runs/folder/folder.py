"""The run folder: reads its files, and writes them atomically."""

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
from kontrast.runs.folder.lock import HOLDER, LOCK, in_use, lock_folder

QUARANTINE = "quarantine.csv"
TRAINED_ON = "trained_on.safetensors"  # hashes of the training rows: eight bytes per row and field
TARGETS = "encoder/targets.json"  # facts of the training rows and their targets
TOTALS = "totals.json"
TEACHERS = "teachers.json"  # what each teacher was when the run began
THREADS = "threads.json"
Checkpoint = tuple[dict[str, torch.Tensor], dict[str, Any]]  # tensors and plain numbers
_STEP = "[0-9]" * 9 + ".safetensors"  # checkpoints are named by their step
# Entries of a metrics.jsonl line that the report and a resumed run rely on.
MOMENT = {"step": int, "loss?": (int, float), "total?": int, "seconds?": (int, float), "health?": dict}
LONGEST = 60  # characters of a folder name: at most four bytes each, and disks allow 255
KEPT = 2  # checkpoints: the newest, and the one before it in case the newest is damaged


@dataclass(frozen=True)
class Folder:
    """A run folder with its readers and writers.

    It holds experiment.json, environment.json, data.json, metrics.jsonl, checkpoints/, encoder/, embeddings/,
    scores.json and report.html. Files are written under another name, flushed to disk and renamed, so that only whole
    files are ever found, even after a crash.

    Attributes:
        path: The folder.
        writes: False if another process of the same run writes; the methods that write then do nothing.
        trusts: Whether code that experiment.json names (`my_lab.ideas:MyLoss`) may be loaded; it is refused otherwise.
    """

    path: Path
    writes: bool = True
    trusts: bool = False

    @property
    def metrics(self) -> Path:
        """Path of the numbers per training step, one JSON object per line."""
        return renamed.file(self.path, "metrics.jsonl")

    @property
    def embeddings(self) -> Path:
        """Path of the embedding tables that the run was evaluated with."""
        return renamed.file(self.path, "embeddings")

    @staticmethod
    def fresh(where: Path | None, name: str) -> "Folder":
        """Creates a run folder: `where`, else the first free one of runs/NAME-1, runs/NAME-2, ...

        Args:
            where: The folder, new or empty.
            name: Name of the data, for a folder under runs/.

        Raises:
            UserError: The folder is not empty or cannot be made.
        """
        try:
            return Folder(_numbered(name) if where is None else _emptied(named(where)), trusts=True)
        except OSError as error:
            raise UserError(
                f"cannot make the run folder {error.filename}: {error.strerror}. Name another with --out."
            ) from error

    @property
    def go_on(self) -> str:
        """The command that continues this run, as a clause for messages."""
        return f"continue with: kontrast train --resume {shlex.quote(str(self.path))}"

    @staticmethod
    def existing(where: Path, trusts: bool = False) -> "Folder":
        """Opens the folder of a run, finished or not.

        Args:
            where: The folder.
            trusts: Whether code that experiment.json names may be loaded.

        Raises:
            UserError: There is no run, or it was stopped before it had an experiment.
        """
        spelled(where)
        if (where / LOCK).is_file() and not (where / "experiment.json").is_file():
            if using := in_use(where):
                raise UserError(f"{where} is in use: {using}.")
            raise UserError(
                f"{where} was stopped before it had written its settings, so there is nothing to resume. Start it "
                f"again: kontrast train DATA --out {shlex.quote(str(where))}"
            )
        if not (where / "experiment.json").is_file():
            raise UserError(f"{where} is no run: it has no experiment.json. Runs are under runs/ by default.")
        return Folder(where, trusts=trusts)

    @property
    def cache(self) -> Path:
        """Path of the decoded rows, which are removed at the end of the run."""
        return self.path / "cache"

    @contextlib.contextmanager
    def lock(self, doing: str) -> Iterator[None]:
        """Context in which no other process writes to the folder.

        Half-written files of a killed process are removed first.

        Args:
            doing: What is done here, for the message that another process gets.

        Raises:
            UserError: Another process writes to the folder.
        """
        if not self.writes:
            yield
            return
        with lock_folder(self.path, doing) as locked:
            if locked:
                self._sweep()
            yield

    def _sweep(self) -> None:
        """Removes half-written files and folders; under the lock none of them is still being written."""
        for part in [*self.path.glob("*.part"), *self.path.glob("*/*.part"), *self.cache.glob("**/*.part-*")]:
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)

    def drop_cache(self) -> None:
        """Removes the decoded rows."""
        shutil.rmtree(self.cache, ignore_errors=True)

    def discard_unless_begun(self) -> None:
        """Removes a run that failed before its first step, except quarantine.csv, which says why."""
        if not self.writes or self.metrics.exists():
            return  # begun: the cache stays too, for a resume
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != QUARANTINE:
                entry.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # quarantine.csv is in it
            self.path.rmdir()

    def experiment(self) -> Experiment:
        """Reads experiment.json.

        Raises:
            UserError: The file is missing or damaged, or names code without `trusts`.
        """
        file = self.path / "experiment.json"
        text = untrusted_json.text(file)
        found = Experiment.from_json(text, str(file))
        if '"validation"' not in text:  # an old run without validation rows: it trained on all of them
            found = replace(found, source=replace(found.source, validation=0))
        if not self.trusts:  # a folder may come from a stranger, and so may the code that it names
            refuse_code(found, str(file))
        return found

    def write(self, name: str, content: str | bytes) -> Path:
        """Writes a file atomically and returns its path."""
        target = self.path / name
        if self.writes:
            with atomic_write(target) as aside:
                aside.write_bytes(content.encode("utf8", "backslashreplace") if isinstance(content, str) else content)
        return target

    def append(self, name: str, line: str) -> None:
        """Appends a line; readers ignore a last line that a crash cut off."""
        if self.writes:
            with (self.path / name).open("a", encoding="utf8") as out:
                out.write(line)

    def save_tensors(self, name: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Path:
        """Writes a safetensors file atomically and returns its path."""
        target = self.path / name
        if self.writes:
            save_tensors(tensors, target, metadata)
        return target

    def write_json(self, name: str, value: Any) -> Path:
        """Writes indented JSON atomically and returns its path."""
        return self.write(name, untrusted_json.written(value, 2) + "\n")

    def read_json(self, name: str) -> Any:
        """Reads what `write_json` wrote.

        Raises:
            UserError: The file is missing or damaged.
        """
        file = self.path / name
        if not file.is_file():
            using = in_use(self.path)
            raise UserError(
                f"{file} is missing: the run did not get that far. "
                + (f"It goes on: {using}." if using else f"Finish it with kontrast train --resume {self.path}.")
            )
        return untrusted_json.tree(untrusted_json.text(file), f"{file} is damaged: it")

    def moments(self) -> list[dict[str, Any]]:
        """Lines of metrics.jsonl so far, without a last one that a crash cut off."""
        file = self.metrics
        if not file.is_file():
            return []
        return list(_whole(untrusted_json.text(file).split("\n"), str(file)))

    def totals(self) -> dict[int, int]:
        """Step -> total steps planned from then on, for replays of runs limited by minutes."""
        return dict(self.read_json(TOTALS)) if (self.path / TOTALS).is_file() else {}

    def threads(self) -> dict[int, int] | None:
        """Step -> threads used from then on by the replayed run; None outside replays."""
        return dict(self.read_json(THREADS)) if (self.path / THREADS).is_file() else None

    def flush(self, name: str) -> None:
        """Flushes a file that was appended to, so that its lines are on disk."""
        if self.writes and (self.path / name).is_file():
            with (self.path / name).open("rb+") as file:
                os.fsync(file.fileno())

    def save_checkpoint(self, tensors: dict[str, torch.Tensor], numbers: dict[str, Any]) -> Path:
        """Writes a checkpoint and its hash.

        Older checkpoints are removed except the last intact one. The hash is written first, so that a checkpoint under
        its final name is whole even if the process is killed.

        Args:
            tensors: The state.
            numbers: Plain values of the state, with `step`.

        Returns:
            Path of the checkpoint.
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
        """Reads the newest intact checkpoint; None if there is none yet.

        Raises:
            UserError: There are checkpoints, and all are damaged.
        """
        files = sorted((self.path / "checkpoints").glob(_STEP), reverse=True)
        for file in files:
            if _intact(file):
                if self.writes:  # a process killed right after saving has not removed the older ones
                    _thin(file)
                tensors = load_tensors(file)
                return tensors, untrusted_json.shaped(
                    untrusted_json.tree(_numbers(file), str(file)), {"step": int}, str(file)
                )
            if self.writes:  # without its hash it is not one of the checkpoints to keep
                file.with_suffix(".sha256").unlink(missing_ok=True)
        if files:
            raise UserError(
                f"no checkpoint in {self.path / 'checkpoints'} is intact ({len(files)} damaged). Remove that folder to "
                "resume from the first step, or train again."
            )
        return None


def _thin(newest: Path) -> None:
    """Removes all checkpoints except this one and the intact one before it."""
    # Checkpoints of later steps are damaged: the resume skipped them.
    good = [f for f in sorted(newest.parent.glob(_STEP)) if f <= newest and f.with_suffix(".sha256").is_file()]
    for old in newest.parent.glob(f"{_STEP.split('.')[0]}.*"):
        if old.with_suffix(".safetensors") not in good[-KEPT:]:
            old.unlink()


def save_tensors(tensors: dict[str, torch.Tensor], target: Path, metadata: dict[str, str] | None = None) -> None:
    """Writes tensors to a safetensors file atomically."""
    with atomic_write(target) as aside:
        _save(tensors, aside, metadata)


def _save(tensors: dict[str, torch.Tensor], file: Path, metadata: dict[str, str] | None) -> None:
    held = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    try:
        save_file(held, file, metadata=metadata)
    except SafetensorError as error:  # raised for a full disk too
        raise OSError(errno.EIO, str(error)) from error


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _intact(checkpoint: Path) -> bool:
    """Whether a checkpoint matches its hash; False if it cannot be read."""
    try:
        return checkpoint.with_suffix(".sha256").read_bytes().strip() == _hash(checkpoint).encode()
    except OSError:
        return False


def load_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Reads what `save_tensors` wrote; safetensors only, never a pickle.

    Raises:
        UserError: The file is missing or damaged.
    """
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} cannot be read as safetensors: {error}.") from error


def _emptied(where: Path) -> Path:
    """Makes the folder, or removes what a failed start left in it."""
    where.mkdir(parents=True, exist_ok=True)
    found = {file.name for file in where.iterdir() if file.suffix != ".part"}
    known = {QUARANTINE, LOCK, HOLDER, "cache", "environment.json"} if LOCK in found else {QUARANTINE}
    if found - known:
        raise UserError(f"{where} exists and is not empty; name a new folder, or continue it with --resume {where}.")
    if LOCK in found:
        with lock_folder(where, "beginning anew"):
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
