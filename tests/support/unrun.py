"""A model of untrained weights and its rows, as a run begins with them."""

import numpy as np

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task, task_choice
from kontrast.data.dataset.dataset import prepare
from kontrast.recipes.choosing import resolve
from kontrast.runs.build import facts_of, learner_of, modalities_of
from kontrast.runs.model import Model
from tests.support.series import waves

SMALL = {"encoders.series": {"name": "tcn", "hidden": 8, "out": 16, "depth": 2}, "scores": []}


def unrun(cache, tasks=None, n=90, **settings):
    """The model and the dataset of labelled series; `tasks` maps a name to a task."""
    x, kinds = waves(n, length=32)
    rows = {"wave": x.astype(np.float32), "kind": kinds.astype(str)}
    chosen = {name: task_choice(task) for name, task in tasks.items()} if tasks else one_task()
    asked = Experiment(tasks=chosen)
    frame, fields, experiment, _ = resolve(
        rows, asked, recipe=None, label="kind", fields=None, settings={**SMALL, **settings}, cache=cache
    )
    modalities = modalities_of(experiment)
    data = prepare(frame, fields, modalities, source=experiment.source, seed=0, cache=cache, fit=True)
    known = facts_of(data)
    return Model(experiment, modalities, learner_of(experiment, modalities, known).eval(), facts=known), data
