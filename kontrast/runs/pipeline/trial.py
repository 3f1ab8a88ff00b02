"""A trial before training: a pass over few rows, and a step's memory."""

from dataclasses import replace

import torch

from kontrast.core import containers
from kontrast.core.byte_size import size
from kontrast.core.errors import UserError
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.reader import Reader
from kontrast.runs.model import Model
from kontrast.runs.pipeline.step_rows import first_views, orders_of
from kontrast.training.launcher import Launcher
from kontrast.training.memory import forecast

_FEW = 16
_AHEAD = 4  # batches of views that are drawn ahead of the current one


def try_out(model: Model, data: Dataset, fleet: Launcher) -> None:
    """Refuses a run whose encoders cannot take its rows, or whose steps exceed the memory.

    Args:
        model: The untrained model.
        data: The dataset.
        fleet: The processes of the run.

    Raises:
        UserError: The encoders fail on the first rows, or a step needs more memory than there is.
    """
    plan, ranks = model.experiment.plan, fleet.ranks
    orders, reader = orders_of(model, data), Reader(data, model.modalities, model.learner.needs)
    rows = max(len(order.at(0, ranks.rank, ranks.world)) for order in orders.values())
    chosen = {f"encoders.{name}": one for name, one in model.experiment.encoders.items()}
    chosen |= {f"tasks.{name}": one.task for name, one in model.experiment.tasks.items()}
    try:
        few = first_views(model, reader, orders, fleet.device, ranks, _FEW)
        with torch.random.fork_rng(devices=[]):
            needed = forecast(model.learner, few, plan.passes, ranks.world, whole=rows)
    except UserError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, ArithmeticError, MemoryError) as error:
        given = ", ".join(f"{k}.{name}={v!r}" for k, c in chosen.items() for name, v in c.settings.items())
        if not given:
            raise
        words = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"the encoders cannot take these rows ({words}); leave out or change what you set: {given}."
        ) from error
    views = sum(
        x.numel() * x.element_size() * rows // max(1, len(batch))
        for batch in few.values()
        for view in batch.views.values()
        for x in containers.tensors(view.data)
    )
    here = ranks.world if fleet.device.type == "cpu" else 1  # number of processes that share this memory
    needed = replace(needed, activations=needed.activations + _AHEAD * views)
    if needed.needed * here > needed.device:
        raise UserError(
            f"a step of {plan.batch:,} rows needs about {size(needed.needed * here)} of memory, and the device has "
            f"{size(needed.device)}; lower --batch, or set plan.passes to fewer rows at a time."
        )
