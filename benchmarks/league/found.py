"""The folders are the registries: every file of `contestants/` is one, every file of `sets/` brings some."""

import importlib
import inspect
from pathlib import Path

from benchmarks.league.contestant import Contestant
from benchmarks.league.task import Task

HERE = Path(__file__).resolve().parent


def _files(room: str) -> list[str]:
    return sorted(p.stem for p in (HERE / room).glob("*.py") if not p.stem.startswith("_"))


def contestants() -> dict[str, type[Contestant]]:
    """name -> class, of every file."""
    return {name: contestant(name) for name in _files("contestants")}


def contestant(name: str) -> type[Contestant]:
    """The one class in the file of that name that is a Contestant."""
    module = importlib.import_module(f"benchmarks.league.contestants.{name}")
    own = (c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__)
    (only,) = (c for c in own if issubclass(c, Contestant))
    return only


def sets(data: Path) -> dict[str, str]:
    """name of a set that is in this folder -> the file of `sets/` that reads it."""
    found = {}
    for name in _files("sets"):
        module = importlib.import_module(f"benchmarks.league.sets.{name}")
        found |= dict.fromkeys(module.names(data), name)
    return found


def load(data: Path, name: str) -> Task:
    """The set of that name."""
    return importlib.import_module(f"benchmarks.league.sets.{sets(data)[name]}").load(data, name)
