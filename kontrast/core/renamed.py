"""Names of earlier versions that still work for one release, with a notice."""

import warnings
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class OldName(FutureWarning):
    """Warning about a name of an earlier version."""


COMMANDS = {"score": "evaluate", "check-loss": "check"}
OPTIONS = {"--log": "--tracker", "--outside": "--allow-outside"}
ARGUMENTS = {"listener": "logger"}
ROOMS = {"methods": "tasks", "listeners": "trackers", "scoring": "evaluators"}
# files of a run folder -> their names in folders of earlier versions, which are read and continued as they are
FILES = {"embeddings": "banks", "metrics.jsonl": "moments.jsonl"}
# room -> old name -> its name now; both as files are named
KINDS = {
    "losses": {"rnc": "rank_n_contrast", "barlow": "barlow_twins", "regress": "similarity_regression"},
    "relations": {
        "across": "different_group",
        "close": "target_similarity",
        "column": "label_column",
        "near": "temporal_window",
        "same": "same_key",
        "several": "shared_labels",
        "twins": "exclude_duplicates",
        "weighed": "key_weight",
        "within": "within_group",
    },
}
# (room, kind, setting) -> old value: its value now
VALUES = {("relations", "key_weight", "what"): {"attract": "positives", "among": "candidates"}}
# parts of the algebra of relations, which are no files of a room
ALGEBRA = {"counting": "candidates_only", "pulling": "positives_only"}
# attributes of a task's class
TASK = {"fewest": "min_fields", "most": "max_fields"}
# states of verdicts
STATES = {"not judged": "not evaluated"}


def arguments(given: list[str]) -> list[str]:
    """Arguments of the command line by the names of today, with a notice for each old one."""
    found = list(given)
    for at, word in enumerate(given):
        option, equals, value = word.partition("=")
        new = COMMANDS.get(word) if at == 0 else OPTIONS.get(option)
        if word == "--":
            break
        if new:
            notice(word if at == 0 else option, new)
            found[at] = f"{new}{equals}{value}"
    return found


def room(name: str) -> str:
    """The name that a room has now, with a notice if it is an old one."""
    if name in ROOMS:
        notice(name, ROOMS[name])
    return ROOMS.get(name, name)


def file(folder: Path, name: str) -> Path:
    """A file of a run folder; by its old name if the folder of an earlier version has it."""
    old = folder / FILES[name]
    return old if old.exists() and not (folder / name).exists() else folder / name


def kind(room: str, name: str) -> str | None:
    """Current name of a kind, with a notice; None if it never had this name."""
    new = KINDS.get(room, {}).get(name.lower().replace("-", "_"))
    if new is not None:
        notice(f"{name} ({room})", new)
    return new


def kinds(name: str) -> list[tuple[str, str]]:
    """(room, name of today) of all kinds that had this name, with a notice."""
    return [(room, new) for room in KINDS if (new := kind(room, name))]


def value(room: str, kind: str, setting: str, given: T) -> T | str:
    """Current value of a setting, with a notice if the given one is old."""
    name = kind.lower().replace("-", "_")
    new = VALUES.get((room, KINDS.get(room, {}).get(name, name), setting), {}).get(str(given))
    if new is not None:
        notice(f"{setting}={given!r} ({kind})", repr(new))
    return given if new is None else new


def notice(old: str, new: str) -> None:
    """Warns that a name is an old one."""
    warnings.warn(f"{old} is called {new} now; the old name works for one release.", OldName, stacklevel=3)


def tensors(found: dict[str, T], prefix: str = "") -> dict[str, T]:
    """Tensors of weights and checkpoints by the names of today; earlier versions had one task and called it method.

    Args:
        found: Name -> tensor.
        prefix: Stood before the names of weights: "method." in checkpoints, nothing in saved encoders.
    """
    if not any(name.startswith((f"{prefix}towers.", "method.")) for name in found):
        return found

    def now(name: str) -> str:
        old = "towers.encoders."
        return f"encoders.networks.{name[len(old) :]}" if name.startswith(old) else f"tasks.contrast.{name}"

    named = {}
    for name, value in found.items():
        if name.startswith("optimiser."):
            named[f"optimiser.{now(name.removeprefix('optimiser.'))}"] = value
        elif prefix and name.startswith(prefix):
            named[f"learner.{now(name.removeprefix(prefix))}"] = value
        else:
            named[name if prefix else now(name)] = value
    return named
