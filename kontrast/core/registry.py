"""Registry of everything that can be chosen by name.

A contract is an abstract class of kontrast with a `ROOM`. A class belongs to the room of the contract that it derives
from, wherever its file is. The file has the class's name in lower case (`info_nce.py` or `infonce.py` for `InfoNCE`).
A recipe is a file with a function `experiment() -> Experiment`. Classes of other packages are named
`my_lab.ideas:MyLoss`. Listing parses files and imports nothing, so that `kontrast list` answers at once.
"""

import ast
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kontrast.core import renamed
from kontrast.core.errors import UserError, did_you_mean

PACKAGE = Path(__file__).resolve().parent.parent
RECIPES = "recipes"


@dataclass(frozen=True)
class Kind:
    """Something that can be chosen by name.

    Attributes:
        room: The room it belongs to: "losses", "kernels", "encoders", ...
        name: Its name on the command line and in experiment.json.
        module: Dotted name of its module.
        attribute: Name of the class, or "experiment" for a recipe.
        summary: First paragraph of the module's docstring.
    """

    room: str
    name: str
    module: str
    attribute: str
    summary: str


@dataclass(frozen=True)
class _Class:
    """What a class statement says, without running it."""

    name: str
    bases: tuple[str, ...]
    room: str
    abstract: bool


@dataclass(frozen=True)
class _File:
    """Classes and imports of a file, and whether it is a recipe; found without import."""

    summary: str
    classes: dict[str, _Class]
    imported: dict[str, str]
    recipe: bool


def rooms() -> dict[str, dict[str, Kind]]:
    """All kinds by room and name."""
    found: dict[str, dict[str, Kind]] = {}
    for kind in _all():
        found.setdefault(kind.room, {})[kind.name] = kind
    return found


def kinds(room: str) -> dict[str, Kind]:
    """Kinds of a room by name."""
    return {kind.name: kind for kind in _all() if kind.room == room}


def named(name: str) -> list[Kind]:
    """Kinds with a name in any room; ignores capitals, hyphens and underscores."""
    wanted = _spelt(name)
    found = (_kind(path) for path in _files() if _spelt(path.stem) == wanted)
    return [kind for kind in found if kind]


def locate(room: str, name: str) -> Kind:
    """Kind with a name in a room.

    Raises:
        UserError: There is none; the message suggests the nearest name and rooms that have the name.
    """
    found = named(name)
    for kind in found:
        if kind.room == room:
            return kind
    if new := renamed.kind(room, name):
        return locate(room, new)
    known = list(kinds(room))
    there = " and ".join(sorted({kind.room for kind in found} - {"modules"}))
    raise UserError(
        f"no {singular(room)} '{name}'{did_you_mean(name, known)} `kontrast list {room}` shows all {len(known)}."
        + (f" There is one among the {there}." if there else "")
    )


def load(room: str, name: str) -> Any:
    """Class with a name in a room; for a recipe, its function.

    Args:
        room: "losses", "kernels", "encoders", ...
        name: A name of that room, or `package.module:Name` for a class outside kontrast.

    Raises:
        UserError: An unknown name, or a class that does not derive from a contract of the room.
    """
    if ":" not in name:
        kind = locate(room, name)
        return getattr(importlib.import_module(kind.module), kind.attribute)
    module, _, attribute = name.partition(":")
    if "" not in sys.path:  # console scripts lack the working folder, which may hold the user's module
        sys.path.insert(0, "")
    try:
        made = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:  # the latter two of `:x` and `.x:y`
        raise UserError(
            f"cannot load {singular(room)} '{name}': {error}. Expected package.module:Name, importable from here."
        ) from error
    if wanted := _refused(room, made):
        raise UserError(
            f"{singular(room)} '{name}' is no {wanted}, so it is not used. "
            f"`kontrast list {room}` shows those there are; their files show what they derive from."
        )
    return made


def fits(room: str, name: str) -> bool:
    """Whether a room has a kind of that name, or the class of that name meets its contract."""
    if ":" not in name:
        return any(kind.room == room for kind in named(name)) or renamed.kind(room, name) is not None
    try:
        load(room, name)
    except UserError:
        return False
    return True


def singular(room: str) -> str:
    """Singular of a room's name, for messages: "loss" for "losses"."""
    known = {"losses": "loss", "modalities": "modality"}
    return known.get(room, room.removesuffix("s"))


def _files() -> tuple[Path, ...]:
    return _walked(PACKAGE)


@functools.cache
def _walked(package: Path) -> tuple[Path, ...]:
    """Files that may hold a kind; cached per process, since every look-up needs them."""
    return tuple(path for path in sorted(package.rglob("*.py")) if not path.stem.startswith("_"))


def _all() -> Iterator[Kind]:
    return (kind for kind in map(_kind, _files()) if kind)


def _spelt(name: str) -> str:
    """Name without differences of spelling: NTXent, nt-xent and ntxent are equal."""
    return name.lower().replace("-", "").replace("_", "")


def _kind(path: Path) -> Kind | None:
    """Kind that a file holds, or None."""
    wanted = _spelt(path.stem)
    if not {wanted, "experiment"} & {_spelt(name) for name in re.findall(r"^(?:class|def) (\w+)", _text(path), re.M)}:
        return None  # most files: parsing takes most of the time of `kontrast list`
    file, module = _parsed(path), _module(path)
    if file.recipe:
        return Kind(RECIPES, path.stem, module, "experiment", file.summary)
    for one in file.classes.values():
        if _spelt(one.name) == wanted and not one.abstract and (room := _room(module, one.name)):
            return Kind(room, path.stem, module, one.name, file.summary)
    return None


def _room(module: str, name: str) -> str:
    """Room of the nearest contract that a class is or derives from, or ""."""
    path = PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not path.is_file():
        return ""
    file = _parsed(path)
    one = file.classes.get(name)
    if one is None:
        return ""
    found = (_room(module if base in file.classes else file.imported.get(base, ""), base) for base in one.bases)
    return one.room or next(filter(None, found), "")


def _module(path: Path) -> str:
    return ".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf8")


def _parsed(path: Path) -> _File:
    """Current content of a file, parsed again only after it was written."""
    return _parse(path, path.stat().st_mtime_ns)


@functools.cache
def _parse(path: Path, written: int) -> _File:
    tree = ast.parse(_text(path))
    recipe = any(isinstance(node, ast.FunctionDef) and node.name == "experiment" for node in tree.body)
    classes = {node.name: _class(node) for node in tree.body if isinstance(node, ast.ClassDef)}
    imported = {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE.name}.")
        for alias in node.names
    }
    summary = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    return _File(summary, classes, {name: module or "" for name, module in imported.items()}, recipe)


def _class(node: ast.ClassDef) -> _Class:
    bases = tuple(base.id for base in node.bases if isinstance(base, ast.Name))
    room = next(
        (
            line.value.value
            for line in node.body
            if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)
            if [target.id for target in line.targets if isinstance(target, ast.Name)] == ["ROOM"]
        ),
        "",
    )
    return _Class(node.name, bases, str(room), "ABC" in bases)


def _refused(room: str, made: Any) -> str:
    """Checks that an object of another package belongs to a room, without calling it.

    Names come from files that others may have written: `os:system` with a setting `command` must not be called. Only a
    class that derives from a contract of the room, or a recipe's function, is accepted.

    Returns:
        What was expected, in words; "" if the object is accepted.
    """
    if room == RECIPES:
        wanted = "function `experiment() -> Experiment` that needs no argument"
        if not inspect.isfunction(made):
            return wanted
        parameters = inspect.signature(made).parameters.values()
        needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        annotation = made.__annotations__.get("return")
        returned = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
        return wanted if needed or returned.split(".")[-1].strip("'\"") != "Experiment" else ""
    bases = made.__mro__[1:] if inspect.isclass(made) else ()
    if any(base.__module__.split(".")[0] == PACKAGE.name and vars(base).get("ROOM") == room for base in bases):
        return ""
    contracts = sorted(
        one.name for path in _files() if "ROOM = " in _text(path) for one in _parsed(path).classes.values()
        if one.room == room
    )  # fmt: skip
    return f"class that derives from a contract of kontrast ({' or '.join(contracts)})"
