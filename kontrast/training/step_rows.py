"""Rows of a step, with the partners of views that are mixed."""

from collections.abc import Mapping

import numpy as np

from kontrast.data.dataset.reader import Moment, Reader
from kontrast.data.samplers.sampler import Sampler
from kontrast.data.view import Batch, ViewSpec


def rows_of_step(
    reader: Reader,
    order: Sampler,
    specs: Mapping[str, ViewSpec],
    step: int,
    rank: int = 0,
    world: int = 1,
    most: int | None = None,
) -> Batch:
    """The unaugmented rows of a step on one rank, with the partners of views that are mixed.

    Args:
        reader: Reads rows.
        order: Chooses them.
        specs: Name -> view to draw.
        step: Step, from 0.
        rank: Of this process.
        world: Number of processes.
        most: Largest number of rows. Default: all.
    """
    moment = Moment(order.sampled.seed, order.epoch(step), step)

    def read(index: np.ndarray) -> Batch:
        return reader.read(index[:most], moment)

    batch = read(order.at(step, rank, world))
    partners = {name: read(order.partners(step, name, rank, world)) for name, spec in specs.items() if spec.mixing}
    return Batch(batch.views, batch.keys, partners) if partners else batch
