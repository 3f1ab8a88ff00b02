"""Learners of one task, and the batches that they take."""

from kontrast.checks.processes import MAIN, single_task
from kontrast.core import containers
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import Encoders


def encoders_of(networks, of=None, modalities=None):
    """Encoders by key, the key of each field (its name by default), and its fitted modality if a task asks."""
    of = of or {key: key for key in networks}
    known = modalities or {}
    info = EncoderInfo(
        {field: networks[key].width for field, key in of.items()},
        {field: networks[key].dense_width for field, key in of.items()},
        of,
        {field: type(m).__name__.lower() for field, m in known.items()},
        {field: m.facts() for field, m in known.items()},
        {field: networks[key].causal for field, key in of.items()},
    )
    return Encoders(networks, of, info)


def learner_of(make, networks=None, of=None, modalities=None, **settings):
    """A learner of the task that `make(info, **settings)` builds."""
    encoders = encoders_of(networks or {}, of, modalities)
    return single_task(make(encoders.info, **settings), encoders)


def batches_of(learner, views, keys):
    """The batches of a step from the views by the task's own names."""
    task = learner.served
    specs = task.views()
    drawn = {learner.names[MAIN][name]: View(specs[name].field, x) for name, x in views.items()}
    return {"": Batch(drawn, keys)}


def outputs(learner, batches):
    """What the only task gives: name -> z."""
    return {name: out.z for name, out in learner(*containers.flattened(batches))[MAIN].items()}
