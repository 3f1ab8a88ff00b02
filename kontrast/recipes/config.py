"""Experiments from files: whole or partial, as YAML, JSON or TOML."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kontrast.core import untrusted_json
from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment, plain, refuse_code

Config = str | Path | Mapping[str, Any]


def configured(base: Experiment, config: Config, *, trust_code: bool = False) -> Experiment:
    """An experiment with the entries of a config put over it.

    Args:
        base: Values for what the config leaves out: a recipe's experiment, or one that leaves the task to the data.
        config: A file .yaml, .yml, .json or .toml, or its content as nested dicts, with the keys of `experiment.json`.
            The experiment.json of a finished run repeats that run.
        trust_code: Whether a file may name code of its own.

    Returns:
        The experiment. A choice by another name (a task, an encoder) replaces the whole choice, with its settings.

    Raises:
        UserError: the file cannot be read, or holds a key or value that an experiment does not have.
    """
    where = "the config" if isinstance(config, Mapping) else str(config)
    tree = _tree(config) if isinstance(config, str | Path) else config
    if not isinstance(tree, Mapping):
        raise UserError(f"{where} holds {type(tree).__name__}; expected the keys of an experiment: tasks, plan, ...")
    if "method" in tree:  # earlier versions had one task and called it method
        tree = {**{k: v for k, v in tree.items() if k != "method"}, "tasks": {base.served: tree["method"]}}
    try:
        words = json.dumps(_over(_without_blank(plain(base), tree), tree))
    except TypeError as error:
        raise UserError(f"{where}: {error}; expected text, numbers, true or false, lists and tables.") from error
    found = Experiment.from_json(words, where)
    if not (trust_code or isinstance(config, Mapping)):
        refuse_code(found, where)
    return found


def _without_blank(base: dict[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out a task that the data would choose, if the config names others."""
    named = tree.get("tasks")
    kept = {k: v for k, v in base["tasks"].items() if v["name"] or not named or k in named}
    return {**base, "tasks": kept}


def _tree(path: str | Path) -> Any:
    file = Path(path)
    kind = file.suffix.lower()
    if kind not in (".yaml", ".yml", ".json", ".toml"):
        raise UserError(f"{file} is no config; expected a .yaml, .yml, .json or .toml file.")
    words = untrusted_json.text(file)
    if kind == ".json":
        return untrusted_json.tree(words, str(file))
    try:
        if kind == ".toml":
            return tomllib.loads(words)
        import yaml

        try:
            return yaml.safe_load(words)
        except yaml.YAMLError as error:
            raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}.") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file} is not TOML: {error}.") from error
    except RecursionError as error:
        raise UserError(f"{file} cannot be read: it is nested too deeply.") from error


def _over(base: Any, new: Any) -> Any:
    """Merges nested tables; a choice by another name, or a plain value, replaces the old."""
    if isinstance(base, dict) and isinstance(new, str) and "name" in base:
        return base if base["name"] == new else {"name": new}
    if not isinstance(base, dict) or not isinstance(new, Mapping):
        return new
    if "name" in base and new.get("name", base["name"]) != base["name"]:
        return dict(new)
    return base | {key: _over(base.get(key), value) for key, value in new.items()}
