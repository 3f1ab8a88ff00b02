"""Builds what an experiment names: modalities, encoders, tasks, and the learner of them."""

from collections.abc import Mapping
from typing import Any

import torch

from kontrast.core import factory, random_streams, registry
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Choice, Experiment, plain
from kontrast.core.task_choice import TaskChoice
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.reader import SAMPLE
from kontrast.data.modality import Modality
from kontrast.data.schema import target
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import Encoders
from kontrast.tasks.task import Task
from kontrast.training.learner import Learner, needed
from kontrast.training.memory import capacity
from kontrast.training.parameter_count import refuse_beyond


def modalities_of(experiment: Experiment) -> dict[str, Modality]:
    """The modality of each field, not yet fitted, with the settings that its encoder requires.

    Fields of one encoder and equal settings share a modality, so that one vocabulary, size and scale is fitted to both.
    """
    made: dict[str, Modality] = {}
    shared: list[tuple[str, Choice, Modality]] = []
    for field, view in experiment.views.items():
        tower = tower_of(experiment, field)
        twin = next((m for t, v, m in shared if (t, v) == (tower, view)), None)
        if twin is None:
            chosen = experiment.encoders[tower]
            factory.check("encoders", chosen.name, chosen.settings)
            encoder: type[Encoder] = registry.load("encoders", chosen.name)
            factory.check("modalities", view.name, view.settings)
            twin = factory.build("modalities", view.name, {**encoder.wants(chosen.settings), **view.settings})
            shared.append((tower, view, twin))
        made[field] = twin
    return made


def tower_of(experiment: Experiment, field: str) -> str:
    """Key of a field's encoder: the field's name if present, else its modality's.

    Raises:
        UserError: The experiment has neither.
    """
    tower = field if field in experiment.encoders else experiment.views[field].name
    if tower not in experiment.encoders:
        raise UserError(f"the experiment has no encoder for '{field}'{did_you_mean(tower, experiment.encoders)}")
    return tower


def facts_of(data: Dataset) -> dict[str, Any]:
    """Facts of the training rows that a method may need.

    Returns:
        `samples`, the number of training rows, and `targets`: key name -> kind, column and facts (`classes`, `names`,
        `counts`, `mean`, `std`, ...).
    """
    return {"samples": int(data.training.sum()), "targets": target.facts(data.targets)}


def learner_of(
    experiment: Experiment, modalities: Mapping[str, Modality], facts: Mapping[str, Any] | None = None
) -> Learner:
    """Builds encoders and tasks; weights are drawn from the experiment's seed.

    Args:
        experiment: Names the tasks, their settings and the encoders.
        modalities: Field -> modality, fitted.
        facts: As from `facts_of`. A task that takes `classes` or `samples` gets the number of classes (of the label,
            else of several labels or soft ones) and of training rows; `class_counts` are the rows per class,
            `target_facts` are the facts of all targets.

    Raises:
        UserError: No column gives a target that a task learns from, or training it exceeds the memory.
    """
    parts = {"tasks": experiment.tasks, "encoders": experiment.encoders, "views": experiment.views}
    settings = {name: plain(part) for name, part in parts.items()}
    refuse_beyond(lambda: _built(experiment, modalities, facts), settings, capacity())
    return _built(experiment, modalities, facts)


def _built(experiment: Experiment, modalities: Mapping[str, Modality], facts: Mapping[str, Any] | None) -> Learner:
    torch.manual_seed(random_streams.folded(experiment.seed))
    towers = {field: tower_of(experiment, field) for field in experiment.views}
    encoders: dict[str, Encoder] = {}
    for field, tower in towers.items():
        if tower not in encoders:
            chosen: Choice = experiment.encoders[tower]
            built_for = dict(modalities[field].facts())
            encoders[tower] = factory.build("encoders", chosen.name, chosen.settings, given=built_for)
    built = Encoders(encoders, towers, _info(experiment, modalities, encoders, towers))
    if experiment.plan.recompute == "on" and not built.recompute():
        used = ", ".join(sorted({experiment.encoders[tower].name for tower in encoders}))
        raise UserError(
            f"plan.recompute=on: no encoder of this run ({used}) can compute its blocks again; expected one that "
            "learns and holds no batch norms, such as transformer or tcn. Leave it out; plan.passes saves memory too."
        )
    known, asked = facts or {}, experiment.tasks
    tasks = {name: _task(one, built.info, known) for name, one in asked.items()}
    given = {"tasks": list(tasks), "weights": {name: one.weight for name, one in asked.items()}}
    return Learner(
        built,
        tasks,
        experiment.served,
        groups={name: one.group for name, one in asked.items()},
        weights=given["weights"],
        mixings={name: one.mixing for name, one in asked.items()},
        classes=_classes(known.get("targets", {})),
        augmentations={name: one.augmentations for name, one in asked.items()},
        aggregator=factory.build(
            "aggregators", experiment.aggregator.name, experiment.aggregator.settings, given=given
        ),
    )


def _classes(targets: Mapping[str, Any]) -> int:
    """Classes whose labels a mixing makes soft; 0 without labels, or if a column gives soft ones."""
    return 0 if "soft" in targets else targets.get("label", {}).get("classes", 0)


def _info(
    experiment: Experiment,
    modalities: Mapping[str, Modality],
    encoders: Mapping[str, Encoder],
    network_of: Mapping[str, str],
) -> EncoderInfo:
    """What tasks may know of the encoders."""
    return EncoderInfo(
        {field: encoders[key].width for field, key in network_of.items()},
        {field: encoders[key].dense_width for field, key in network_of.items()},
        network_of,
        {field: view.name for field, view in experiment.views.items()},
        {field: modality.facts() for field, modality in modalities.items()},
        {field: encoders[key].causal for field, key in network_of.items()},
    )


def _task(asked: TaskChoice, info: EncoderInfo, facts: Mapping[str, Any]) -> Task:
    """Builds a task for its fields.

    Raises:
        UserError: The data lacks a target that it learns from.
    """
    chosen, fields = asked.task, list(asked.fields or info.fields)
    made: type[Task] = registry.load("tasks", chosen.name)
    _require(chosen.name, made.needs, asked, facts)
    task: Task = factory.build(
        "tasks", chosen.name, chosen.settings, given={"encoders": info.only(fields), **_given(facts)}
    )
    _require(chosen.name, task.needs, asked, facts)  # again: the relation chosen for it may need other targets
    return task


def _require(name: str, needs: frozenset[str], asked: TaskChoice, facts: Mapping[str, Any]) -> None:
    """Raises UserError if no column gives a target that a task learns from."""
    known = set(facts.get("targets", {}))
    mixed = asked.mixing is not None and "label" in known and "soft" not in known
    lacking = sorted(needed(needs, mixed=mixed) - {SAMPLE} - known)
    if lacking:
        raise UserError(
            f"task '{name}' learns from a {lacking[0].partition(' ')[0]} of each row as it was asked for, and no "
            f"column gives one. Say which does: {target.asked_for(lacking[0])}."
        )


def _given(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from the data that a task's constructor may take."""
    known = facts.get("targets", {})
    classes = [known[kind]["classes"] for kind in ("label", "labels", "soft") if kind in known]
    given: dict[str, Any] = {"target_facts": known, **({"samples": facts["samples"]} if "samples" in facts else {})}
    if "label" in known:
        given["class_counts"] = known["label"]["counts"]
    return {**given, "classes": classes[0]} if classes else given


def describe(learner: Learner) -> str:
    """The encoders in a line for the terminal: `image: resnet 2.8 M -> 256`."""
    lines = {}
    for field, tower in learner.encoders.network_of.items():
        encoder = learner.encoders.encoder(field)
        count = sum(p.numel() for p in encoder.parameters())
        lines[tower] = f"{tower}: {type(encoder).__name__.lower()} {count / 1e6:.1f} M -> {encoder.width}"
    return " · ".join(lines.values())
