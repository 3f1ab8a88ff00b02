"""Fills in every default of an experiment, so that later versions repeat it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kontrast.core import factory, registry
from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan
from kontrast.data.modality import Modality
from kontrast.encoders.encoder import Encoder
from kontrast.evaluation.usual import usual_scores
from kontrast.runs.build import tower_of
from kontrast.runs.pipeline.train import optimiser_of


def resolved(experiment: Experiment, modalities: Mapping[str, Modality]) -> Experiment:
    """The experiment with every default filled in.

    Args:
        experiment: What the user asked for, with views, encoders and tasks chosen.
        modalities: Field -> modality, fitted; what it was fitted to (channels, sizes) is no setting and is not written.
    """
    encoders, views = {}, {}
    for field, view in experiment.views.items():
        tower = tower_of(experiment, field)
        chosen = experiment.encoders[tower]
        encoder: type[Encoder] = registry.load("encoders", chosen.name)
        asked: dict[str, Any] = {**encoder.wants(chosen.settings), **view.settings}
        views[field] = factory.whole("modalities", Choice(view.name, asked))
        encoders[tower] = factory.whole("encoders", chosen, modalities[field].facts())
    scores = experiment.scores or usual_scores()
    return replace(
        experiment,
        views=views,
        encoders=encoders,
        tasks={
            name: replace(chosen, task=factory.whole("tasks", chosen.task)) for name, chosen in experiment.tasks.items()
        },
        aggregator=factory.whole("aggregators", experiment.aggregator, ("tasks", "weights")),
        serve=experiment.served,
        plan=_plan(experiment.plan),
        scores=tuple(factory.whole("evaluators", score) for score in scores),
    )


def _plan(plan: Plan) -> Plan:
    _, rate, decay = optimiser_of(plan)
    return replace(
        plan,
        optimiser=factory.whole("optimisers", plan.optimiser),
        sampler=factory.whole("samplers", plan.sampler),
        learning_rate=rate,
        weight_decay=decay,
    )
