"""Checks, completes and builds what is chosen by name; the constructor's signature is the schema.

The range of a number is part of the annotation (`depth: Annotated[int, Range(1, 100)]`). A setting that is itself a
choice names its room (`loss: Annotated[Choice, "losses"]`).
"""

import inspect
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from kontrast.core import registry
from kontrast.core.choice import Choice, choice
from kontrast.core.errors import UserError, did_you_mean

# What Python and PyTorch raise for impossible values, such as a layer of width -1 or larger than memory.
_REFUSALS = (ValueError, RuntimeError, TypeError, LookupError, ArithmeticError, AssertionError, MemoryError)
# Largest numbers if the signature has no range: C's int for whole numbers, about float32's largest for others.
WHOLE, LARGE = (1 << 31) - 1, 3e38


@dataclass(frozen=True)
class Range:
    """Range of a number in a signature, both ends included: `depth: Annotated[int, Range(1, 100)]`."""

    least: float
    most: float = LARGE


def build(room: str, name: str, settings: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Any:
    """Builds an object by its name.

    Args:
        room: Where it is registered: "losses", "kernels", "encoders", ...
        name: Its name in that room, or `package.module:Name`.
        settings: The user's settings; each must be a parameter.
        given: Facts, such as a width or the number of channels, passed if the signature has them.

    Raises:
        UserError: An unknown name or setting, an invalid value, or a required parameter that nothing provides.
    """
    made = registry.load(room, name)
    check(room, name, settings, made)
    parameters, rooms = _parameters(made), parts_of(made)
    facts = {k: v for k, v in (given or {}).items() if k in parameters and k not in settings}
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in settings and key not in facts:
            raise UserError(
                f"{registry.singular(room)} '{name}' needs '{key}', which neither its settings nor the data give."
            )
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)
    settings = {key: _as_float(value, hints.get(key)) for key, value in settings.items()}
    named = {k: choice(v, k) if k in rooms and v is not None else v for k, v in settings.items()}
    try:
        return made(**facts, **named)
    except UserError:
        raise
    except _REFUSALS as refused:  # the constructor does not accept a value
        if not settings and not isinstance(refused, ValueError):
            raise
        words = (str(refused).splitlines() or [type(refused).__name__])[0][:200]
        chosen = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        said = f" with {chosen}" if chosen and not isinstance(refused, ValueError) else ""
        raise UserError(f"{registry.singular(room)} '{name}'{said}: {words}") from refused


def check(room: str, name: str, settings: Mapping[str, Any], made: Any = None) -> None:
    """Checks settings against a signature before anything is built.

    Args:
        room: Where the name is registered.
        name: The name of what the settings belong to.
        settings: The settings to check.
        made: The class or function itself; None loads it by its name.

    Raises:
        UserError: An unknown setting, a value of the wrong type, or a number out of range.
    """
    made = made or registry.load(room, name)
    parameters, rooms = _parameters(made), parts_of(made)
    constructor = made.__init__ if inspect.isclass(made) else made
    hints, ranged = (typing.get_type_hints(constructor, include_extras=extras) for extras in (False, True))
    for key, value in settings.items():
        if key not in parameters:
            raise UserError(f"{registry.singular(room)} '{name}' has no setting '{key}'{did_you_mean(key, parameters)}")
        if key in rooms and not (value is None and fits(None, hints[key])):
            part = choice(value, f"{registry.singular(room)} '{name}': {key}")
            check(rooms[key], part.name, part.settings)
        elif key in hints and not fits(value, hints[key]):
            raise UserError(f"{registry.singular(room)} '{name}': {key}={value!r} is not {_words(hints[key])}.")
        if key in hints and (wanted := beyond(value, ranged[key])):
            raise UserError(f"{registry.singular(room)} '{name}': {key}={_short(value)}; expected {wanted}.")


def parts_of(made: Any) -> dict[str, str]:
    """Maps settings that are themselves choices to their rooms (`Annotated[Choice, "losses"]`)."""
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made, include_extras=True)
    return {key: room for key, hint in hints.items() if (room := _room_of(hint))}


def _room_of(hint: Any) -> str:
    """Room that a setting is chosen from; "" if it is no choice."""
    if get_origin(hint) is Annotated:
        return get_args(hint)[1] if get_args(hint)[0] is Choice else ""
    if get_origin(hint) in (typing.Union, types.UnionType):
        return next(filter(None, map(_room_of, get_args(hint))), "")
    return ""


def whole(room: str, chosen: Choice, facts: Collection[str] = ()) -> Choice:
    """Completes a choice with all defaults, those of its parts included.

    Args:
        room: Where it is registered.
        chosen: Its name and the settings that are set.
        facts: Parameters that `build` provides, which are therefore no settings. A part takes the parameters of its
            owner with the same name (a temperature, a width).
    """
    made = registry.load(room, chosen.name)
    rooms, settings = parts_of(made), {}
    for key, parameter in _parameters(made).items():
        if key in chosen.settings:
            settings[key] = chosen.settings[key]
        elif key not in facts and parameter.default is not inspect.Parameter.empty:
            settings[key] = parameter.default
        if key in rooms and settings.get(key) is not None:
            settings[key] = whole(rooms[key], choice(settings[key], key), _parameters(made))
    return Choice(chosen.name if ":" in chosen.name else registry.locate(room, chosen.name).name, settings)


def fits(value: Any, hint: Any) -> bool:
    """Whether a JSON-like value matches an annotation; annotations that cannot be checked match."""
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
    """Expected range of a number or list of numbers that is out of range.

    Returns:
        The range in words; "" if the value is within the annotation's range or is no number.
    """
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


def _ranges(hint: Any) -> Iterator[Range]:
    """Yields the ranges in an annotation and its parts."""
    for part in get_args(hint):
        if isinstance(part, Range):
            yield part
        else:
            yield from _ranges(part)


def _takes(hint: Any, kind: type) -> bool:
    return hint is kind or any(_takes(part, kind) for part in get_args(hint) if not isinstance(part, Range))


def _as_float(value: Any, hint: Any) -> Any:
    """Converts integers beyond 32 bits, which PyTorch takes as floats only, where floats are allowed."""
    return float(value) if isinstance(value, int) and abs(value) > WHOLE and _takes(hint, float) else value


def _short(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:40]}... ({len(words)} characters)"


def settings_of(made: Any) -> list[tuple[str, str, Any]]:
    """Settings of a class or function, in order.

    Returns:
        (name, type, default) per setting; the default is `inspect.Parameter.empty` if there is none.
    """
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)
    rooms = {key: f"one of {room}" for key, room in parts_of(made).items()}
    return [
        (p.name, rooms.get(p.name) or _words(hints.get(p.name, Any)), p.default) for p in _parameters(made).values()
    ]


def _parameters(made: Any) -> dict[str, inspect.Parameter]:
    """Named parameters of a signature.

    A class without its own constructor inherits torch's (*args, **kwargs), which are no settings.
    """
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: p for name, p in inspect.signature(made).parameters.items() if p.kind not in starred}


def _words(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if not get_args(hint) else str(hint).replace("typing.", "")
