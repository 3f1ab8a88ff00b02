"""Relations to JSON and back: a relation is its name and its fields, and a field may be a relation."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from kontrast.core import factory, renamed
from kontrast.core.errors import UserError, did_you_mean
from kontrast.losses.relation import Both, CandidatesOnly, Either, Mixed, PositivesOnly, Relation, Times

# How relations are put together is the algebra itself (relation.py), not one more file of the folder.
ALGEBRA = {
    "both": Both,
    "either": Either,
    "mixed": Mixed,
    "times": Times,
    "positives_only": PositivesOnly,
    "candidates_only": CandidatesOnly,
}


def relation_to_json(relation: Relation) -> dict[str, Any]:
    """{"relation": "both", "one": {"relation": "same_key", "key": "id", ...}, "two": ...}, and the like."""
    settings = {field.name: getattr(relation, field.name) for field in fields(cast(Any, relation))}
    return {"relation": _name(type(relation))} | {
        key: relation_to_json(value) if isinstance(value, Relation) else value for key, value in settings.items()
    }


def relation_from_json(value: Mapping[str, Any] | str) -> Relation:
    """The relation that `relation_to_json` wrote, or one that is written with `name` as other choices are.

    A name or field that is not known is an error with the nearest one.
    """
    if isinstance(value, str):
        value = {"name": value}
    said = [key for key in ("relation", "name") if isinstance(value, Mapping) and key in value]
    if not said:
        raise UserError(f"a relation is written {{'name': name, its fields}}; found {value!r}.")
    name = str(value[said[0]])
    if name not in ALGEBRA and renamed.KINDS["relations"].get(name) in ALGEBRA:
        name = str(renamed.kind("relations", name))
    settings = {
        key: relation_from_json(part) if isinstance(part, Mapping) else part
        for key, part in value.items()
        if key != said[0]
    }
    if name not in ALGEBRA:
        return factory.build("relations", name, settings)
    known = [field.name for field in fields(ALGEBRA[name])]
    for key in settings:
        if key not in known:
            raise UserError(f"relation '{name}' has no part '{key}'{did_you_mean(key, known)}")
    if missing := [key for key in known if key not in settings]:
        raise UserError(f"relation '{name}' needs '{missing[0]}'.")
    return cast(Any, ALGEBRA[name])(**settings)


def _name(made: type) -> str:
    """As `find` looks it up: the folder's file, or package.module:Name for a stranger's."""
    for name, known in ALGEBRA.items():
        if known is made:
            return name
    home, _, file = made.__module__.rpartition(".")
    return file if home == "kontrast.losses.relations" else f"{made.__module__}:{made.__qualname__}"
