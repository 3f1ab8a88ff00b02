"""Prune: what may go of some runs, listed first, removed when asked; what no run wrote is never touched."""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kontrast.core.errors import UserError
from kontrast.runs.catalogue import Entry, bytes_
from kontrast.runs.lock import LOCK, held, in_use

# What a run writes. A folder goes only when nothing else lies in it: notes or figures of its owner's stay.
OWN = (
    "banks", "cache", "embeddings", "checkpoints", "encoder", "exports", "index", "tensorboard", "wandb",
    "data.json", "environment.json", "metrics.jsonl", "moments.jsonl",
    "quarantine.csv", "report.html", "samples.json", "scores.json",
    "tags.json", "trained_on.safetensors", "doctor.json", "views.png", "mlflow.db", "mlflow.txt",
    "not-finite-step-*.safetensors", "*.part", "totals.json",
    "experiment.json",  # last
)  # fmt: skip
QUIET = 3600.0  # seconds without a change after which an unfinished run is not taken to be under way


@dataclass(frozen=True)
class Removal:
    """Something that may go. whole: the run itself; else a folder in it. why: in a few words."""

    path: Path
    run: Path
    size: int
    why: str

    @property
    def whole(self) -> bool:
        """Whether the run itself goes."""
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
    """What would go, of these runs; nothing is removed yet.

    caches: decoded rows of runs that stopped. checkpoints: of finished runs; they embed, search and report without.
    unfinished: runs that were never judged. best: all finished runs but so many for each set of rows and leading number
    (one that has merit: a run judged by a spread alone is in no ranking).
    A tagged run is never removed whole. One under way stays as it is: one that a process holds and, as not every file
    system has locks, an unfinished one that changed within the last hour.
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
    """Do it; a line each. A folder in which its owner left something of his own stays, with that."""
    for one in removals:
        if not any((one.run / name).is_file() for name in ("experiment.json", LOCK)):
            raise UserError(
                f"{one.run} is no run any more: there is no experiment.json in it. Nothing in it is removed."
            )
        with held(one.run, "kontrast prune"):
            for path in _own(one.run) if one.whole else [one.path]:
                _drop(path)
        if not one.whole:
            yield f"removed {one.path}"
            continue
        (one.run / LOCK).unlink(missing_ok=True)  # last: until it goes, a prune that was interrupted can be done again
        left = sorted(path.name for path in one.run.iterdir())
        if left:
            yield f"removed the run in {one.run}; left there, as no run wrote it: {', '.join(left[:5])}"
        else:
            one.run.rmdir()
            yield f"removed {one.run}"


def _own(run: Path) -> Iterator[Path]:
    """What a run wrote, in the order in which it may go."""
    for pattern in OWN:
        yield from sorted(run.glob(pattern))


def _drop(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def lines(removals: Sequence[Removal]) -> Iterator[str]:
    """What would go, and how much it is."""
    for one in removals:
        yield f"{bytes_(one.size):>8}  {one.path}  ({one.why})"
    yield f"{bytes_(sum(one.size for one in removals)):>8}  in all" if removals else "nothing to prune"


def _beaten(entries: Sequence[Entry], best: int) -> Iterator[tuple[Entry, str]]:
    """Finished runs behind the best of the same data and number; runs that cannot be ranked are not among them."""
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
