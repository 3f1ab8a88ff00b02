"""Batches: the rows of a step, read ahead by a thread."""

import contextlib
import queue
import threading
from collections.abc import Callable, Collection, Generator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.random_streams import Streams
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.feature_store import KnownFeatures
from kontrast.data.modality import Modality
from kontrast.data.schema.target import Target, asked_for
from kontrast.data.view import Batch, View

SAMPLE = "sample"  # key of a row's index among all rows that train
_READING = 1 << 20  # number of the streams of reading, beyond those of views


class Moment(NamedTuple):
    """When rows are read: seed of the run, epoch and step, both from 0."""

    seed: int
    epoch: int
    step: int


class Reader:
    """Reads the cached rows of a batch.

    A row that lacks a field gets another row's value as a placeholder, which no encoder sees. The keys of a batch are
    `id`, `has FIELD`, `content FIELD` and those of the targets.

    Args:
        dataset: The rows.
        modalities: Field -> modality, which collates its rows.
        keys: Names of the targets to read; None for all. SAMPLE among them adds the index of a row among all rows that
            train, -1 for other rows. Default: None.

    Raises:
        UserError: No column provides a key.

    Attributes:
        known: Field -> copy of its encoder -> features that need not be computed; empty at first.
    """

    def __init__(
        self, dataset: Dataset, modalities: Mapping[str, Modality], keys: Collection[str] | None = None
    ) -> None:
        self.dataset, self.modalities = dataset, modalities
        asked = dataset.targets if keys is None else [name for name in keys if name != SAMPLE]
        self.targets = {name: _target(dataset, name) for name in asked}
        self.samples = (
            np.where(dataset.training, np.cumsum(dataset.training) - 1, -1) if SAMPLE in (keys or ()) else None
        )
        self.known: dict[str, dict[str, KnownFeatures]] = {}
        self.stand_in = {name: int(np.flatnonzero(dataset.stores[name].has)[0]) for name in modalities}

    def read(self, index: np.ndarray, moment: Moment | None = None) -> Batch:
        """Reads rows without augmentation.

        Args:
            index: (B,) ints, indices of the rows.
            moment: When they are read, for modalities that draw what a row needs. None if they are not trained on.
                Default: None.

        Returns:
            The batch; its views are the fields, as `Modality.batch` returns them.
        """
        data, views = self.dataset, {}
        keys = {"id": torch.from_numpy(data.keys[index])}
        streams = None
        if moment is not None and any(modality.draws for modality in self.modalities.values()):
            streams = _streams(keys["id"], moment)
        for name, modality in self.modalities.items():
            has = data.stores[name].has[index]
            there = np.where(has, index, self.stand_in[name])
            known = {copies: features.rows(index) for copies, features in self.known.get(name, {}).items()}
            views[name] = View(name, modality.batch(data.stores[name], there, streams), known=known)
            keys[f"has {name}"] = torch.from_numpy(has)
            keys[f"content {name}"] = torch.from_numpy(data.content[name][index])
        if self.samples is not None:
            keys[SAMPLE] = torch.from_numpy(self.samples[index])
        return Batch(views, {**keys, **{name: target.keys(index) for name, target in self.targets.items()}})


def _streams(ids_B: torch.Tensor, moment: Moment) -> Streams:
    """Streams for what is drawn while rows are read, apart from those of views."""
    row_B = random_streams.key(moment.seed, moment.epoch, ids_B, _READING)
    return Streams(row_B, row_B, random_streams.step_keys(moment.seed, moment.step, [_READING]).expand(len(ids_B)))


def _target(dataset: Dataset, name: str) -> Target:
    if name in dataset.targets:
        return dataset.targets[name]
    raise UserError(
        f"{dataset.name}: training asks for the key '{name}' of its rows, and no column gives it. Say which does: "
        f"{asked_for(name)}"
    )


T = TypeVar("T")


def ahead(read: Callable[[int], T], start: int, depth: int) -> Generator[T]:
    """Yields the batches of step `start`, `start + 1`, ... without end.

    A thread reads up to `depth` batches ahead while the last one is trained on.
    """
    slots: queue.Queue[T | BaseException] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | BaseException) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                slots.put(item, timeout=0.1)
                break

    def work() -> None:
        step = start
        try:
            while not stop.is_set():
                put(read(step))
                step += 1
        except BaseException as error:  # raised again where the batch is consumed
            put(error)

    thread = threading.Thread(target=work, daemon=True, name="kontrast-reader")
    thread.start()
    try:
        while True:
            item = slots.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
