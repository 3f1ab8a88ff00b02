"""Pruning of runs: lists and removes files that a run wrote, and no others."""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kontrast.core.errors import UserError
from kontrast.runs.folder.catalogue import Entry, bytes_
from kontrast.runs.folder.lock import LOCK, in_use, lock_folder

# Files that a run writes. The folder is removed only if it holds nothing else, such as notes or figures of its owner.
OWN = (
    "alone", "banks", "cache", "embeddings", "checkpoints", "encoder", "exports", "index", "tensorboard", "wandb",
    "data.json", "environment.json", "messages.jsonl", "metrics.jsonl", "moments.jsonl", "validation.jsonl",
    "quarantine.csv", "report.html", "samples.json", "scores.json",
    "tags.json", "trained_on.safetensors", "doctor.json", "views.png", "mlflow.db", "mlflow.txt",
    "not-finite-step-*.safetensors", "*.part", "totals.json", "threads.json",
    "teachers.json",
    "experiment.json",  # last
)  # fmt: skip
QUIET = 3600.0  # seconds without a change after which an unfinished run counts as stopped


@dataclass(frozen=True)
class Removal:
    """A run, or a folder in it, that can be removed.

    Attributes:
        path: What is removed.
        run: The run folder.
        size: Bytes on disk.
        why: The reason in a few words.
    """

    path: Path
    run: Path
    size: int
    why: str

    @property
    def whole(self) -> bool:
        """Whether the whole run is removed."""
        return self.path == self.run


def plan(
    entries: Sequence[Entry],
    *,
    caches: bool = False,
    checkpoints: bool = False,
    unfinished: bool = False,
    best: int | None = None,
    now: float | None = None,
) -> list[Removal]:
    """Lists what would be removed of some runs, without removing anything.

    A tagged run is never removed whole. A run in progress is left alone: one that a process holds and, as some file
    systems have no locks, an unfinished one that changed within the last hour.

    Args:
        entries: The runs.
        caches: Whether to remove decoded rows of stopped runs.
        checkpoints: Whether to remove checkpoints of finished runs, which embed, search and report without them.
        unfinished: Whether to remove runs that were never evaluated.
        best: Number of finished runs to keep per set of rows and leading score; runs without a score that can be better
            or worse are not ranked and stay. Default: all.
        now: Seconds since 1970. Default: the clock.

    Raises:
        UserError: Nothing to prune is named, or `best` is below 1.
    """
    if not (caches or checkpoints or unfinished or best is not None):
        raise UserError("nothing to prune was named: --caches, --checkpoints, --unfinished or --best N.")
    if best is not None and best < 1:
        raise UserError(f"prune: best={best}; expected 1 or more.")
    now = time.time() if now is None else now
    quiet = [one for one in entries if one.finished or now - one.changed > QUIET]
    found: dict[Path, Removal] = {}
    if unfinished:
        lost = [one for one in quiet if one.verdict == "unfinished" and not one.tags]
        found |= {one.path: Removal(one.path, one.path, one.size, "unfinished") for one in lost}
    if best is not None:
        found |= {one.path: Removal(one.path, one.path, one.size, why) for one, why in _beaten(entries, best)}
    for one in quiet:
        if one.path not in found:
            wanted = [("cache", "decoded rows")] * caches + [("checkpoints", "of a finished run")] * (
                checkpoints and one.finished
            )
            for name, why in wanted:
                part = one.path / name
                if part.is_dir() and not part.is_symlink():
                    found[part] = Removal(part, one.path, _size(part), why)
    return [one for one in found.values() if not in_use(one.run)]


def remove(removals: Iterable[Removal]) -> Iterator[str]:
    """Removes what `plan` listed; a folder with files that no run wrote stays, with those.

    Yields:
        One line per removal, for the terminal.

    Raises:
        UserError: A folder is no run any more, or another process writes to it.
    """
    for one in removals:
        if not any((one.run / name).is_file() for name in ("experiment.json", LOCK)):
            raise UserError(f"{one.run} is no longer a run: it has no experiment.json. Nothing in it was removed.")
        with lock_folder(one.run, "kontrast prune"):
            for path in _own(one.run) if one.whole else [one.path]:
                _drop(path)
        if not one.whole:
            yield f"removed {one.path}"
            continue
        (one.run / LOCK).unlink(missing_ok=True)  # last, so that an interrupted prune can be repeated
        left = sorted(path.name for path in one.run.iterdir())
        if left:
            yield f"removed the run in {one.run}; left there, as no run wrote it: {', '.join(left[:5])}"
        else:
            one.run.rmdir()
            yield f"removed {one.run}"


def _own(run: Path) -> Iterator[Path]:
    """Files that the run wrote, in the order of removal."""
    for pattern in OWN:
        yield from sorted(run.glob(pattern))


def _drop(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def lines(removals: Sequence[Removal]) -> Iterator[str]:
    """Lines for the terminal: size, path and reason of each removal, and the total size."""
    for one in removals:
        yield f"{bytes_(one.size):>8}  {one.path}  ({one.why})"
    yield f"{bytes_(sum(one.size for one in removals)):>8}  in all" if removals else "nothing to prune"


def _beaten(entries: Sequence[Entry], best: int) -> Iterator[tuple[Entry, str]]:
    """Untagged finished runs behind the best of the same rows and score."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for one in entries:
        if one.finished and one.score is not None and one.merit:
            groups.setdefault((one.rows, one.score_name), []).append(one)
    for (_, name), group in groups.items():
        ranked = sorted(group, key=lambda one: (one.score or 0.0) * (-1 if one.higher_is_better else 1))
        for one in ranked[best:]:
            if not one.tags:
                yield one, f"not among the best {best} of {one.data} by {name}"


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
