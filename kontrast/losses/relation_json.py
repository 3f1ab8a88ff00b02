"""Relations as JSON: a name and fields, of which some are relations."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from kontrast.core import factory, renamed
from kontrast.core.errors import UserError, did_you_mean
from kontrast.losses.relation import Both, CandidatesOnly, Either, Mixed, PositivesOnly, Relation, Times

# Combinations of relations are defined in relation.py, not in files of the folder.
ALGEBRA = {
    "both": Both,
    "either": Either,
    "mixed": Mixed,
    "times": Times,
    "positives_only": PositivesOnly,
    "candidates_only": CandidatesOnly,
}


def relation_to_json(relation: Relation) -> dict[str, Any]:
    """JSON form of a relation: {"relation": "same_key", "key": "id", ...}, nested.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> relation_to_json(SameKey("id"))
        {'relation': 'same_key', 'key': 'id', 'apart': False}
    """
    settings = {field.name: getattr(relation, field.name) for field in fields(cast(Any, relation))}
    return {"relation": _name(type(relation))} | {
        key: relation_to_json(value) if isinstance(value, Relation) else value for key, value in settings.items()
    }


def relation_from_json(value: Mapping[str, Any] | str) -> Relation:
    """Relation from its JSON form, or from a name.

    Args:
        value: What `relation_to_json` returns; a dictionary with `name` instead of `relation`; or a bare name.

    Raises:
        UserError: No relation, an unknown name or field (with the nearest known one), or a missing field.

    Example:
        >>> relation_from_json({"name": "same_key", "key": "id"})
        SameKey(key='id', apart=False)
    """
    if isinstance(value, str):
        value = {"name": value}
    name_keys = [key for key in ("relation", "name") if isinstance(value, Mapping) and key in value]
    if not name_keys:
        raise UserError(f"a relation is written {{'name': name, its fields}}; found {value!r}.")
    name = str(value[name_keys[0]])
    if name in renamed.ALGEBRA:
        renamed.notice(f"{name} (relations)", renamed.ALGEBRA[name])
        name = renamed.ALGEBRA[name]
    settings = {
        key: relation_from_json(part) if isinstance(part, Mapping) else part
        for key, part in value.items()
        if key != name_keys[0]
    }
    if name not in ALGEBRA:
        now = {key: renamed.value("relations", name, key, part) for key, part in settings.items()}
        return factory.build("relations", name, now)
    known = [field.name for field in fields(ALGEBRA[name])]
    for key in settings:
        if key not in known:
            raise UserError(f"relation '{name}' has no part '{key}'{did_you_mean(key, known)}")
    if missing := [key for key in known if key not in settings]:
        raise UserError(f"relation '{name}' needs '{missing[0]}'.")
    return cast(Any, ALGEBRA[name])(**settings)


def _name(made: type) -> str:
    """Name as the registry looks it up: the file's in the folder, or package.module:Name of an outside class."""
    for name, known in ALGEBRA.items():
        if known is made:
            return name
    home, _, file = made.__module__.rpartition(".")
    return file if home == "kontrast.losses.relations" else f"{made.__module__}:{made.__qualname__}"
