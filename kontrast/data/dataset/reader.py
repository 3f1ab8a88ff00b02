"""Batches: the rows of a step, read ahead by a thread, and their views.

Views are drawn for all rows at once.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.embeddings import Keys
from kontrast.core.errors import UserError
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.modality import Modality
from kontrast.data.schema.target import Target, asked_for

SAMPLE = "sample"  # key of a row's index among all rows that train


@dataclass(frozen=True)
class Batch:
    """Views and keys of B samples.

    Attributes:
        views: View -> (B, ...).
        keys: Key -> (B,) or (B, C), of the samples.
    """

    views: Mapping[str, Tensor]
    keys: Keys

    def __len__(self) -> int:
        return len(self.keys["id"])

    def __getitem__(self, rows: slice) -> "Batch":
        return Batch({n: v[rows] for n, v in self.views.items()}, {n: k[rows] for n, k in self.keys.items()})

    def to(self, device: torch.device) -> "Batch":
        """Copies the batch to a device; float64 keys become float32 on MPS."""
        views = {n: v.to(device, non_blocking=True) for n, v in self.views.items()}
        keys = self.keys
        if device.type == "mps":  # MPS has no float64
            keys = {n: k.float() if k.dtype == torch.float64 else k for n, k in keys.items()}
        return Batch(views, {n: k.to(device, non_blocking=True) for n, k in keys.items()})


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
        self.stand_in = {name: int(np.flatnonzero(dataset.stores[name].has)[0]) for name in modalities}

    def read(self, index: np.ndarray) -> Batch:
        """Reads rows without augmentation.

        Args:
            index: (B,) ints, indices of the rows.

        Returns:
            The batch; its views are the fields, as `Modality.collate` returns them.
        """
        data, views = self.dataset, {}
        keys = {"id": torch.from_numpy(data.keys[index])}
        for name, modality in self.modalities.items():
            has = data.stores[name].has[index]
            there = np.where(has, index, self.stand_in[name])
            views[name] = modality.collate(data.stores[name].rows(there))
            keys[f"has {name}"] = torch.from_numpy(has)
            keys[f"content {name}"] = torch.from_numpy(data.content[name][index])
        if self.samples is not None:
            keys[SAMPLE] = torch.from_numpy(self.samples[index])
        return Batch(views, {**keys, **{name: target.keys(index) for name, target in self.targets.items()}})


def _target(dataset: Dataset, name: str) -> Target:
    if name in dataset.targets:
        return dataset.targets[name]
    raise UserError(
        f"{dataset.name}: training asks for the key '{name}' of its rows, and no column gives it. Say which does: "
        f"{asked_for(name)}"
    )


def ahead(read: Callable[[int], Batch], start: int, depth: int) -> Generator[Batch]:
    """Yields the batches of step `start`, `start + 1`, ... without end.

    A thread reads up to `depth` batches ahead while the last one is trained on.
    """
    slots: queue.Queue[Batch | BaseException] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Batch | BaseException) -> None:
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


def draw(batch: Batch, draws: Mapping[str, str], modalities: Mapping[str, Modality], *, seed: int, epoch: int) -> Batch:
    """Draws the augmented views of a batch.

    Random numbers depend only on seed, epoch, sample id and view. All views of a field are drawn in one call, since the
    draws of a batch are a hundred small tensors, regardless of the number of rows.

    Args:
        batch: Unaugmented fields.
        draws: View -> field, as the method asks for.
        modalities: Field -> modality, which augments.
        seed: Seed of the run.
        epoch: Epoch, from 0.

    Returns:
        The batch of the views, with the same keys.
    """
    row, *streams = random_streams.keys(seed, epoch, batch.keys["id"], range(-1, len(draws)))
    drawn: dict[str, Tensor] = {}
    for field in dict.fromkeys(draws.values()):
        mine = {view: stream for (view, of), stream in zip(draws.items(), streams, strict=True) if of == field}
        x = batch.views[field]
        several = x.expand(len(mine), *x.shape).flatten(0, 1)  # no copy for a single view
        views = modalities[field].augment(several, torch.cat([*mine.values()]), row.repeat(len(mine)))
        drawn |= dict(zip(mine, views.split(len(batch)), strict=True))
    return Batch({view: drawn[view] for view in draws}, batch.keys)
