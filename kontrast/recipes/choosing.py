"""Choice of the recipe by the shape of the data, with the reason."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kontrast.core import factory, registry, renamed
from kontrast.core.choice import Choice, choice
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Experiment, Source, plain
from kontrast.core.task_choice import TaskChoice, task_choice
from kontrast.data.dataset.split_assignment import training
from kontrast.data.modality import Modality
from kontrast.data.schema.fields import Field, infer
from kontrast.data.sources.long_columns import cell_name
from kontrast.data.sources.long_table import asked_of
from kontrast.data.sources.source_rows import source_rows
from kontrast.data.tables.frame import Frame
from kontrast.data.tables.record import with_records
from kontrast.recipes.plain_columns import split_asked, with_table
from kontrast.tasks.parts import relation_of, targets_of, usual_settings
from kontrast.tasks.task import Task

_NO_PAIRS = "no pairs"
_OPENING = ("missing", "series", "time", "channels", "sampling", "step")  # settings that decide what the rows are
VALIDATION = 0.1  # default share of validation rows if the kept state or the end is chosen by them


def resolve(
    data: object,
    asked: Experiment,
    *,
    recipe: str | None,
    label: str | None,
    fields: Mapping[str, str] | None,
    settings: Mapping[str, Any] | None,
    cache: Path,
) -> tuple[Frame, dict[str, Field], Experiment, dict[str, str]]:
    """Rows, columns and complete experiment of a run on this data.

    Arguments as in `kontrast.train`.

    Returns:
        The rows; what each column is; the experiment with every default filled in; {"name": the recipe, "why": the
        reason for it}.

    Raises:
        UserError: data, names or settings that do not fit.
    """
    frame, source, chosen = _opened(data, asked, label, fields or {}, settings or {}, cache)
    asked = _first_axis(asked, source)
    chosen, tables = split_asked(frame, chosen)
    seen = training(frame, chosen, *_split(asked, settings or {}))  # held-out rows must not influence what columns are
    found = infer(frame, chosen, label, seen)
    found, asked = with_table(frame, found, asked, tables, settings or {})
    experiment, why = choose(found, asked, recipe)
    experiment = override(experiment, settings or {})
    chosen_by = experiment.plan.keep == "best-by-validation" or experiment.plan.patience is not None
    if chosen_by and experiment.source.validation is None:
        source = dataclasses.replace(experiment.source, validation=VALIDATION)
        experiment = dataclasses.replace(experiment, source=source)
    experiment = dataclasses.replace(experiment, source=_pinned(experiment.source, source))
    frame = with_records(frame, experiment.views)
    return frame, found, experiment, {"name": recipe or experiment.names, "why": why}


def _opened(
    data: object,
    asked: Experiment,
    label: str | None,
    fields: Mapping[str, str],
    settings: Mapping[str, Any],
    cache: Path,
) -> tuple[Frame, Source, dict[str, str]]:
    """The rows, the source with what a long table left open, and what the user chose of the columns that are left."""
    said = {name: settings.get(f"source.{name}", vars(asked.source)[name]) for name in _OPENING}
    hints = {f.name: f.type for f in dataclasses.fields(Source)}
    sound = {name: value for name, value in said.items() if factory.fits(value, hints[name])}  # the rest: see override
    chosen = {**asked.source.fields, **fields}
    source = dataclasses.replace(asked.source, **sound)
    whole = chosen | ({label: "label"} if label else {})
    frame, source = source_rows(data, source, cache=cache, chosen=whole)
    if source.series is None:
        return frame, source, chosen
    made = asked_of(source)
    if "id" in chosen.values():
        made[source.series] = "meta"
    gone = {
        *(source.channels or ()),
        *(name for name, kind in chosen.items() if kind == "ignore"),
    } - frame.columns.keys()
    return frame, source, made | {name: kind for name, kind in chosen.items() if name not in gone}


def _first_axis(asked: Experiment, source: Source) -> Experiment:
    """Views of the series of a long table have time on the first axis, however many channels and instants there are."""
    if source.series is None:
        return asked
    name = cell_name(source)
    view = asked.views.get(name, asked.views.get("series", Choice("series")))
    view = Choice(view.name, {"time_axis": "first", **view.settings})
    return dataclasses.replace(asked, views={**asked.views, name: view})


def _pinned(source: Source, opened: Source) -> Source:
    """The source with what the rows decided."""
    return dataclasses.replace(source, channels=opened.channels, sampling=opened.sampling, step=opened.step)


def _split(asked: Experiment, settings: Mapping[str, Any]) -> tuple[Source, int]:
    """Settings that decide which rows train, as far as they are valid.

    All settings are checked later, once the experiment is complete.
    """
    shares = {name: settings.get(f"source.{name}", vars(asked.source)[name]) for name in ("held_out", "validation")}
    keep = settings.get("plan.keep", asked.plan.keep)
    patience = settings.get("plan.patience", asked.plan.patience)
    if (keep == "best-by-validation" or patience is not None) and shares["validation"] is None:
        shares["validation"] = VALIDATION
    sound = {name: value for name, value in shares.items() if factory.fits(value, float) and 0 <= value <= 1}
    own = settings.get("source.split_seed", asked.source.split_seed)
    sound["split_seed"] = own if factory.fits(own, int) else None
    seed = settings.get("seed", asked.seed)
    return dataclasses.replace(asked.source, **sound), seed if factory.fits(seed, int) else asked.seed


def choose(fields: Mapping[str, Field], asked: Experiment, recipe: str | None) -> tuple[Experiment, str]:
    """The experiment with every view and encoder filled in, and the reason for its task.

    Args:
        fields: What each column of the data is.
        asked: What the user named; this is kept.
        recipe: Name of the recipe; None: the data decides.

    Raises:
        UserError: nothing to embed, a name that the data lacks, or a number of fields that the method does not take.
    """
    modalities = registry.kinds("modalities")
    views = {name: f for name, f in fields.items() if f.kind in modalities}
    if not views:
        seen = "; ".join(f"{name} is {f.kind}: {f.why}" for name, f in fields.items())
        raise UserError(
            f"nothing to embed: no column holds {', '.join(modalities)}. Found {seen}. Name one: --field COLUMN=KIND."
        )
    kinds = {field.kind for field in views.values()}
    unknown = [name for name in asked.views if name not in views and name not in kinds]
    if unknown:
        raise UserError(f"the experiment names a view '{unknown[0]}'{did_you_mean(unknown[0], views)}")
    gold = next((name for name, field in fields.items() if field.kind == "score"), None)
    tasks, why = {}, "as asked"
    for name, wanted in asked.tasks.items():
        seen = _fields(name, wanted, views)
        method, reason = _method(seen, wanted.task, recipe, gold)
        if reason.endswith(_NO_PAIRS):
            reason += _advice(seen, asked)
        why = reason if len(asked.tasks) == 1 else why
        tasks[name] = dataclasses.replace(wanted, task=_fitting(method, seen), fields=tuple(seen))
    filled = {}
    for name, field in views.items():
        kind = asked.views.get(name, asked.views.get(field.kind, Choice(field.kind)))
        takes = [setting for setting, _, _ in factory.settings_of(registry.load("modalities", kind.name))]
        suited = {"strength": _strength(name, tasks), **_asked(name, tasks)}
        filled[name] = Choice(
            kind.name, {k: v for k, v in {**suited, **kind.settings}.items() if k in takes or k in kind.settings}
        )
    encoders = dict(asked.encoders)
    for name, view in filled.items():
        modality: type[Modality] = registry.load("modalities", view.name)
        if name not in encoders:
            encoders.setdefault(view.name, Choice(modality.encoder, modality.encoder_settings))
    used = {t: c for t, c in encoders.items() if t in filled or t in {v.name for v in filled.values()}}
    for tower in encoders:
        if tower not in used:
            raise UserError(f"no view is called '{tower}' or of that kind{did_you_mean(tower, {*filled, *used})}")
    source = dataclasses.replace(asked.source, fields={name: f.kind for name, f in fields.items()})
    return dataclasses.replace(asked, source=source, views=filled, encoders=used, tasks=tasks), why


def _fields(name: str, task: TaskChoice, views: Mapping[str, Field]) -> dict[str, Field]:
    """The fields that a task sees: those that are named, or of a kind that is named; else all."""
    chosen = []
    for field in task.fields or views:
        found = [field] if field in views else [one for one, view in views.items() if view.kind == field]
        if not found:
            raise UserError(f"tasks.{name}.fields names '{field}'{did_you_mean(field, views)}")
        chosen += found
    return {field: views[field] for field in chosen}


def _advice(views: Mapping[str, Field], asked: Experiment) -> str:
    """Advice of the kind of data on a single field without pairs, unless its encoder is named."""
    ((name, field),) = views.items()
    kind = asked.views.get(name, Choice(field.kind)).name
    if {name, kind} & asked.encoders.keys():
        return ""
    modality: type[Modality] = registry.load("modalities", kind)
    return f"; {modality.alone}" if modality.alone else ""


def _fitting(task: Choice, views: Mapping[str, Field]) -> Choice:
    """The task with all defaults named, so that each can be set.

    Raises:
        UserError: It takes another number of fields.
    """
    factory.check("tasks", task.name, task.settings)
    task = factory.whole("tasks", task)
    made: type[Task] = registry.load("tasks", task.name)
    if not made.min_fields <= len(views) <= (made.max_fields or len(views)):
        wanted = (
            f"at least {made.min_fields} fields" if len(views) < made.min_fields else f"at most {made.max_fields} field"
        )
        raise UserError(
            f"task '{task.name}' takes {wanted}; found {len(views)}: "
            f"{', '.join(f'{name} ({f.kind})' for name, f in views.items())}. Say what a column is with --field "
            "COLUMN=KIND, leave one out with --field COLUMN=ignore, name the task's fields "
            f"(--task {task.name}:fields=COLUMN), or name no recipe."
        )
    return task


def _asked(field: str, tasks: Mapping[str, TaskChoice]) -> Mapping[str, object]:
    """Settings of the field's modality that suit the first task that sees it."""
    task = next((chosen.task for chosen in tasks.values() if field in chosen.fields), None)
    return registry.load("tasks", task.name).asks if task else {}


def _strength(field: str, tasks: Mapping[str, TaskChoice]) -> str:
    """Strength of a field's augmentation: light if the data makes the positives, labels included.

    CIFAR-10, 2,000 pictures, 160 steps of SupCon: kNN .426 and linear .480 lightly, .412 and .444 strongly. Of several
    tasks the first that sees the field decides.
    """
    task = next((chosen.task for chosen in tasks.values() if field in chosen.fields), None)
    if task is None:
        return "strong"
    made: type[Task] = registry.load("tasks", task.name)
    relation = task.settings.get("relation")
    learns_from = made.needs | (targets_of(relation_of(relation)) if relation is not None else frozenset())
    return "light" if learns_from else made.strength


def _method(views: Mapping[str, Field], asked: Choice, recipe: str | None, gold: str | None) -> tuple[Choice, str]:
    if asked.name:
        return asked, "as asked"
    # Settings without a task's name apply to whichever task is chosen.
    if len(views) == 1:
        (field,) = views.values()
        return Choice("simclr", asked.settings), "as asked" if recipe else f"one {field.kind} field, {_NO_PAIRS}"
    if {"chosen", "rejected"} <= views.keys() and not recipe:
        task = "bpr" if "anchor" in views else "bradley_terry"
        return Choice(task, asked.settings), "'chosen' and 'rejected' say what was preferred"
    if gold is not None and len(views) == 2 and not recipe:
        one, two = views
        return Choice("scored", asked.settings), f"'{gold}' says how alike {one} and {two} are"
    kinds = " · ".join(f"{name} ({f.kind})" for name, f in views.items())
    why = "as asked" if recipe else f"{len(views)} fields of a row belong together: {kinds}"
    return Choice("clip", asked.settings), why


def with_tasks(experiment: Experiment, tasks: Mapping[str, Any]) -> Experiment:
    """The experiment with further tasks; a task that the data would have chosen gives way to them.

    Raises:
        UserError: Something that is no task.
    """
    if not tasks:
        return experiment
    kept = {name: task for name, task in experiment.tasks.items() if task.task.name}
    added = {name: task_choice(task, f"tasks.{name}") for name, task in tasks.items()}
    return dataclasses.replace(experiment, tasks={**kept, **added})


def override(experiment: Experiment, settings: Mapping[str, Any]) -> Experiment:
    """The experiment with dotted settings replaced and all settings checked.

    A new loss brings its usual kernel and temperature, unless these are set too.

    Args:
        experiment: The experiment to change.
        settings: Values by dotted path, such as {"tasks.contrast.temperature": 0.1, "plan.batch": 128}.

    Raises:
        UserError: an unknown setting, or a value of the wrong type.
    """
    tree = plain(experiment)
    settings = _of_tasks(settings, experiment)
    for path, value in settings.items():
        _put(tree, path, value)
    for name, task in tree["tasks"].items():
        at = f"tasks.{name}"
        new = settings.get(f"{at}.loss", settings.get(f"{at}.loss.name"))
        for key, value in usual_settings(choice(new, f"{at}.loss").name).items() if new is not None else ():
            set_too = any(path == f"{at}.{key}" or path.startswith(f"{at}.{key}.") for path in settings)
            if key in task and not set_too:
                task[key] = value
    changed = Experiment.from_json(json.dumps(tree), "the experiment")
    for room, chosen in (
        ("tasks", [one.task for one in changed.tasks.values()]),
        ("aggregators", [changed.aggregator]),
        ("samplers", [one.sampler for one in changed.tasks.values() if one.sampler]),
        ("mixings", [one.mixing for one in changed.tasks.values() if one.mixing]),
        ("augmentations", [a for one in changed.tasks.values() for a in one.augmentations.values()]),
        ("optimisers", [changed.plan.optimiser]),
        ("samplers", [changed.plan.sampler]),
        ("modalities", changed.views.values()),
        ("encoders", changed.encoders.values()),
        ("evaluators", changed.scores),
    ):
        for one in chosen:
            factory.check(room, one.name, one.settings)
    return changed


def _of_tasks(settings: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """The settings by the names of today: `method.NAME` was the setting of the only task."""
    found = {}
    for path, value in settings.items():
        first, dot, rest = path.partition(".")
        if first == "method":
            new = f"tasks.{experiment.served}{dot}{rest}"
            renamed.notice(path, new)
            path = new
        found[path] = value
    return found


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Sets the value at a dotted path; a bare name becomes a choice with settings."""
    *way, last = path.split(".")
    here: Any = tree
    for part in way:
        if not isinstance(here, dict) or part not in here:
            raise UserError(f"no setting '{path}'{did_you_mean(part, here if isinstance(here, dict) else [])}")
        if isinstance(here[part], str):
            here[part] = {"name": here[part]}
        here = here[part]
    if not isinstance(here, dict):
        raise UserError(f"no setting '{path}': '{way[-1]}' is a plain value.")
    here[last] = value
