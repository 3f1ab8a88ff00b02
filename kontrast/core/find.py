"""The folder is the registry and the signature is the schema: find, list and build what the rooms hold, by name.

`losses/infonce.py` with a class InfoNCE *is* the loss `infonce`; a recipe is a file with a function `experiment`. A
stranger's class is named `my_lab.ideas:MyLoss`. Listing parses files and imports nothing, so that `kontrast list`
answers at once.
"""

import ast
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from kontrast.core.choice import Choice, choice
from kontrast.core.errors import UserError, did_you_mean

# What Python and PyTorch raise for values that cannot be, such as a layer of -1 numbers or of more than memory holds.
_REFUSALS = (ValueError, RuntimeError, TypeError, LookupError, ArithmeticError, AssertionError, MemoryError)
HOUSE = Path(__file__).resolve().parent.parent


# What a number of a setting may be where its signature does not say: whole ones as C counts, others as float32 holds.
WHOLE, LARGE = (1 << 31) - 1, 3e38


@dataclass(frozen=True)
class Within:
    """The range of a number in a signature, both ends allowed: `depth: Annotated[int, Within(1, 100)]`."""

    least: float
    most: float = LARGE


@dataclass(frozen=True)
class Kind:
    """One thing that can be named: where it is and what it says of itself in its first sentence."""

    room: str
    name: str
    module: str
    attribute: str
    summary: str


def rooms() -> dict[str, dict[str, Kind]]:
    """Every room that holds kinds, by its folder's name, with its kinds by theirs."""
    found: dict[str, dict[str, Kind]] = {}
    for path in sorted(HOUSE.rglob("*.py")):
        kind = _kind(path)
        if kind:
            found.setdefault(kind.room, {})[kind.name] = kind
    return found


def kinds(room: str) -> dict[str, Kind]:
    """The kinds of one room, by name; parses that room's files alone."""
    found = (_kind(path) for path in sorted(HOUSE.rglob(f"{room}/*.py")))
    return {kind.name: kind for kind in found if kind}


def named(name: str) -> list[Kind]:
    """The kinds of that name, whatever their room, capitals and hyphens; parses the files of that name alone."""
    found = (_kind(path) for path in sorted(HOUSE.rglob("*.py")) if _spelt(path.stem) == _spelt(name))
    return [kind for kind in found if kind]


def locate(room: str, name: str) -> Kind:
    """The kind of that name in that room, or a message with the nearest name."""
    here = {_spelt(path.stem): path for path in sorted(HOUSE.rglob(f"{room}/*.py"))}
    path = here.get(_spelt(name))
    kind = None if path is None else _kind(path)
    if kind is None:
        known = list(kinds(room))
        there = " and ".join(sorted({one.room for one in named(name)} - {"modules"}))
        raise UserError(
            f"no {_singular(room)} '{name}'{did_you_mean(name, known)} `kontrast list {room}` shows all {len(known)}."
            + (f" There is one among the {there}." if there else "")
        )
    return kind


def load(room: str, name: str) -> Any:
    """The class (or a recipe's function) behind a name; `package.module:Name` names one outside of kontrast."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        if "" not in sys.path:  # a console script does not see the working folder, where a user's own module lies
            sys.path.insert(0, "")
        try:
            made = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError, TypeError) as error:  # the latter two of `:x` and `.x:y`
            raise UserError(
                f"cannot load {_singular(room)} '{name}': {error}. Expected package.module:Name, importable from here."
            ) from error
        if wanted := _refused(room, made):
            raise UserError(
                f"{_singular(room)} '{name}' is no {wanted}, so it is not used. "
                f"`kontrast list {room}` shows those there are; their files show what they derive from."
            )
        return made
    kind = locate(room, name)
    return getattr(importlib.import_module(kind.module), kind.attribute)


def build(room: str, name: str, settings: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Any:
    """The thing itself. `settings` are the user's and must all be known; `given` are facts (a width, the channels)
    passed where they are asked for."""
    made = load(room, name)
    check(room, name, settings, made)
    parameters, rooms = _parameters(made), parts_of(made)
    facts = {k: v for k, v in (given or {}).items() if k in parameters and k not in settings}
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in settings and key not in facts:
            raise UserError(f"{_singular(room)} '{name}' needs '{key}', which neither its settings nor the data give.")
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)
    settings = {key: _as_float(value, hints.get(key)) for key, value in settings.items()}
    named = {k: choice(v, k) if k in rooms else v for k, v in settings.items()}
    try:
        return made(**facts, **named)
    except UserError:
        raise
    except _REFUSALS as refused:  # a constructor's word for a value that it cannot take
        if not settings and not isinstance(refused, ValueError):
            raise
        words = (str(refused).splitlines() or [type(refused).__name__])[0][:200]
        chosen = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        said = f" with {chosen}" if chosen and not isinstance(refused, ValueError) else ""
        raise UserError(f"{_singular(room)} '{name}'{said}: {words}") from refused


def check(room: str, name: str, settings: Mapping[str, Any], made: Any = None) -> None:
    """Refuse a setting that the signature does not know, or a value of the wrong type, before anything is built."""
    made = made or load(room, name)
    parameters, rooms = _parameters(made), parts_of(made)
    constructor = made.__init__ if inspect.isclass(made) else made
    hints, ranged = (typing.get_type_hints(constructor, include_extras=extras) for extras in (False, True))
    for key, value in settings.items():
        if key not in parameters:
            raise UserError(f"{_singular(room)} '{name}' has no setting '{key}'{did_you_mean(key, parameters)}")
        if key in rooms:
            part = choice(value, f"{_singular(room)} '{name}': {key}")
            check(rooms[key], part.name, part.settings)
        elif key in hints and not fits(value, hints[key]):
            raise UserError(f"{_singular(room)} '{name}': {key}={value!r} is not {_words(hints[key])}.")
        if key in hints and (wanted := beyond(value, ranged[key])):
            raise UserError(f"{_singular(room)} '{name}': {key}={_short(value)}; expected {wanted}.")


def parts_of(made: Any) -> dict[str, str]:
    """Settings that are themselves choices -> the room each is chosen from (`Annotated[Choice, "losses"]`)."""
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made, include_extras=True)
    return {
        key: get_args(hint)[1]
        for key, hint in hints.items()
        if get_origin(hint) is Annotated and get_args(hint)[0] is Choice
    }


def whole(room: str, chosen: Choice, facts: Collection[str] = ()) -> Choice:
    """The choice with all defaults written out, those of its parts too.

    Args:
        room: Where it is chosen from.
        chosen: Name and the settings that were named.
        facts: Parameters that are handed over when it is built, and so are no settings. A part takes what its owner
            has under the same name (a temperature, a width).
    """
    made = load(room, chosen.name)
    rooms, settings = parts_of(made), {}
    for key, parameter in _parameters(made).items():
        if key in chosen.settings:
            settings[key] = chosen.settings[key]
        elif key not in facts and parameter.default is not inspect.Parameter.empty:
            settings[key] = parameter.default
        if key in settings and key in rooms:
            settings[key] = whole(rooms[key], choice(settings[key], key), _parameters(made))
    return Choice(chosen.name if ":" in chosen.name else locate(room, chosen.name).name, settings)


def fits(value: Any, hint: Any) -> bool:
    """Whether a JSON-like value may stand where the annotation is; what cannot be judged passes."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in parts
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin in (tuple, list):
        inner = [part for part in parts if part is not Ellipsis]
        return isinstance(value, tuple | list) and (len(inner) != 1 or all(fits(v, inner[0]) for v in value))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (str, bool, dict, type(None)) else True


def beyond(value: Any, hint: Any) -> str:
    """What a number, or each number of a list, ought to be where it is out of the annotation's range; else empty."""
    if isinstance(value, list | tuple):
        parts = [part for part in get_args(hint) if get_origin(part) or isinstance(part, type)]
        return next((words for one in value if (words := beyond(one, parts[0] if parts else hint))), "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    said = next(_ranges(hint), None)
    whole = isinstance(value, int) and not _takes(hint, float)
    low, high = (said.least, said.most) if said else (0, WHOLE) if whole else (-LARGE, LARGE)
    high = min(high, WHOLE) if whole else high
    if low <= value <= high:
        return ""
    if high >= LARGE:
        return "a finite number" if low <= -LARGE else f"{low:g} or more, and finite"
    return f"{low:,} to {high:,}"


def _ranges(hint: Any) -> Iterator[Within]:
    """Those that an annotation, or a part of it, bears."""
    for part in get_args(hint):
        if isinstance(part, Within):
            yield part
        else:
            yield from _ranges(part)


def _takes(hint: Any, kind: type) -> bool:
    return hint is kind or any(_takes(part, kind) for part in get_args(hint) if not isinstance(part, Within))


def _as_float(value: Any, hint: Any) -> Any:
    """A whole number too large for C's counts, where any number is asked for: PyTorch takes such as a float only."""
    return float(value) if isinstance(value, int) and abs(value) > WHOLE and _takes(hint, float) else value


def _short(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:40]}... ({len(words)} characters)"


def settings_of(made: Any) -> list[tuple[str, str, Any]]:
    """(name, type, default) of every setting of a class or function, in order; the default is inspect's `empty` where
    there is none."""
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)
    rooms = {key: f"one of {room}" for key, room in parts_of(made).items()}
    return [
        (p.name, rooms.get(p.name) or _words(hints.get(p.name, Any)), p.default) for p in _parameters(made).values()
    ]


def _parameters(made: Any) -> dict[str, inspect.Parameter]:
    """The named ones; a class without a constructor of its own inherits torch's (*args, **kwargs), which are no
    settings."""
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: p for name, p in inspect.signature(made).parameters.items() if p.kind not in starred}


def _spelt(name: str) -> str:
    """A name without what spellings differ in: NTXent, nt-xent and ntxent are one."""
    return name.lower().replace("-", "").replace("_", "")


def _kind(path: Path) -> Kind | None:
    if path.stem.startswith("_"):
        return None
    text, wanted = path.read_text(encoding="utf8"), path.stem.replace("_", "")
    if not re.search(rf"^(class {wanted}|def experiment)\b", text, re.MULTILINE | re.IGNORECASE):
        return None  # most files: parsing them took most of the time of `kontrast list`
    tree = ast.parse(text)
    for node in tree.body:
        named = isinstance(node, ast.ClassDef) and node.name.lower() == wanted and not _abstract(node)
        recipe = isinstance(node, ast.FunctionDef) and node.name == "experiment"
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and (named or recipe):
            module = ".".join(("kontrast", *path.relative_to(HOUSE).with_suffix("").parts))
            summary = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
            return Kind(path.parent.name, path.stem, module, node.name, summary)
    return None


def _abstract(node: ast.ClassDef) -> bool:
    """Not a kind: derives from no contract of this project (plumbing, or a plain nn.Module), or is one itself (ABC,
    Protocol)."""
    names = [base.id for base in node.bases if isinstance(base, ast.Name)]
    return not names or "ABC" in names or "Protocol" in names


def _refused(room: str, made: Any) -> str:
    """What a stranger's thing ought to be to be used in that room, where it is not that; nothing of it is called.

    Names come from files that strangers may have written: `os:system` with a setting `command` must not be called, and
    so nothing but what was written for this room is: a class that derives from its contract, or a recipe's function.
    """
    if room == "recipes":
        wanted = "function `experiment() -> Experiment` that needs no argument"
        if not inspect.isfunction(made):
            return wanted
        needed = [p for p in _parameters(made).values() if p.default is inspect.Parameter.empty]
        told = made.__annotations__.get("return")
        named = told if isinstance(told, str) else getattr(told, "__name__", "")
        return wanted if needed or named.split(".")[-1].strip("'\"") != "Experiment" else ""
    found = [kind for kind in map(_kind, HOUSE.rglob(f"{room}/*.py")) if kind]
    known = dict(base for kind in found for base in _bases(kind.module, kind.attribute))
    bases = made.__mro__[1:] if inspect.isclass(made) else ()
    if any(base.__name__ in known and base.__module__.split(".")[0] == "kontrast" for base in bases):
        return ""
    first = sorted(name for name, derives in known.items() if not derives)
    return f"class that derives from a contract of kontrast ({' or '.join(first)})"


def _bases(module: str, name: str) -> Iterator[tuple[str, bool]]:
    """The classes of kontrast that a class derives from, near and far, and whether each derives from one itself."""
    path = HOUSE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not path.is_file():
        return
    tree = ast.parse(path.read_text(encoding="utf8"))
    homes = {node.name: module for node in tree.body if isinstance(node, ast.ClassDef)} | {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kontrast.")
        for alias in node.names
    }
    for node in tree.body:
        for base in node.bases if isinstance(node, ast.ClassDef) and node.name == name else ():
            if isinstance(base, ast.Name) and base.id in homes:
                further = list(_bases(homes[base.id], base.id))
                yield base.id, bool(further)
                yield from further


def _singular(room: str) -> str:
    known = {"scoring": "score", "losses": "loss", "modalities": "modality", "entries": "entry"}
    return known.get(room, room.removesuffix("s"))


def _words(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if not get_args(hint) else str(hint).replace("typing.", "")
