"""A task of an experiment, by name, with what a run has for every task."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from kontrast.core.choice import Choice, choice
from kontrast.core.errors import UserError, did_you_mean

MAIN = "contrast"
"""Name of a task that a recipe, or the data, chooses alone."""
Rows = Literal["all", "labelled"]
Role = Literal["global", "local", "weak", "strong", "context", "original"]


@dataclass(frozen=True)
class TaskChoice:
    """A task by name with its settings, and what a run has for every task.

    Attributes:
        task: The task and its settings.
        fields: Fields that it sees. Default: all.
        rows: "all" training rows, or the "labelled" ones, whose targets that the task needs are known. Default: "all".
        sampler: Chooses its rows. Default: the plan's.
        rows_per_step: Its rows per step over all ranks. Default: the plan's.
        weight: Factor of its loss. Default: 1.
        augmentations: Role of a view -> augmentation in place of the modality's own.
        mixing: How each row of its views is mixed with another one (cutmix, mixup). Default: not at all.
    """

    task: Choice
    fields: tuple[str, ...] = ()
    rows: Rows = "all"
    sampler: Choice | None = None
    rows_per_step: int | None = None
    weight: float = 1.0
    augmentations: Mapping[str, Choice] = field(default_factory=dict)
    mixing: Choice | None = None

    def __post_init__(self) -> None:
        where = f"task '{self.task.name}'"
        if self.rows not in get_args(Rows):
            raise UserError(f"{where}: rows={self.rows!r}; expected {' or '.join(get_args(Rows))}.")
        if not isinstance(self.weight, int | float) or isinstance(self.weight, bool) or not 0 < self.weight < 1e9:
            raise UserError(f"{where}: weight={self.weight!r}; expected a number above 0.")
        if self.rows_per_step is not None and not (
            type(self.rows_per_step) is int and 2 <= self.rows_per_step < 1 << 31
        ):
            raise UserError(f"{where}: rows_per_step={self.rows_per_step!r}; expected a whole number, 2 or more.")
        if not all(isinstance(name, str) for name in self.fields):
            raise UserError(f"{where}: fields={list(self.fields)}; expected names of columns.")
        for role in self.augmentations:
            if role not in get_args(Role):
                raise UserError(f"{where}: no role of a view is called '{role}'{did_you_mean(role, get_args(Role))}")

    @property
    def group(self) -> str:
        """Name of the rows that it sees in a step; tasks of one group share their batch. "" for the plan's own."""
        if (self.rows, self.sampler, self.rows_per_step) == ("all", None, None):
            return ""
        sampler = "" if self.sampler is None else f" {self.sampler.name} {sorted(self.sampler.settings.items())}"
        return f"{self.rows} {self.rows_per_step or ''}{sampler}"


RESERVED = tuple(f.name for f in dataclasses.fields(TaskChoice) if f.name != "task")
"""Names that no task may have for a setting."""


def task_choice(value: Any, where: str = "task") -> TaskChoice:
    """A TaskChoice from a name, from {"name": ..., settings}, from a Choice or from a TaskChoice.

    Raises:
        UserError: Anything else, or an invalid value.
    """
    if isinstance(value, TaskChoice):
        return value
    chosen = choice(value, where)
    own = {name: chosen.settings[name] for name in RESERVED if name in chosen.settings}
    if isinstance(fields := own.get("fields", ()), str):
        own["fields"] = (fields,)
    elif not isinstance(fields, list | tuple):
        raise UserError(f"{where}.fields={fields!r}; expected names of columns.")
    else:
        own["fields"] = tuple(fields)
    for part in ("sampler", "mixing"):
        if own.get(part) is not None:
            own[part] = choice(own[part], f"{where}.{part}")
    if not isinstance(instead := own.get("augmentations", {}), Mapping):
        raise UserError(f"{where}.augmentations={instead!r}; expected role -> augmentation.")
    own["augmentations"] = {role: choice(one, f"{where}.augmentations.{role}") for role, one in instead.items()}
    settings = {name: v for name, v in chosen.settings.items() if name not in RESERVED}
    return TaskChoice(Choice(chosen.name, settings), **own)


def one_task(name: str = "", settings: Mapping[str, Any] | None = None) -> dict[str, TaskChoice]:
    """The tasks of an experiment with a single one.

    Args:
        name: Name of the task; "" leaves it to the data.
        settings: Settings of the task.
    """
    return {MAIN: TaskChoice(Choice(name, settings or {}))}
