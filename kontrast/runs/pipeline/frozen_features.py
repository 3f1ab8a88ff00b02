"""Features of frozen encoders, computed once before the first step and looked up from then on."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from kontrast.core import containers
from kontrast.core.byte_size import size
from kontrast.core.experiment import Plan
from kontrast.core.shards import hash_weights
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.feature_store import KnownFeatures
from kontrast.data.view import Batch
from kontrast.encoders.encoders import Copies
from kontrast.encoders.features import Features
from kontrast.reporting.logger import Logger
from kontrast.runs.folder.feature_writing import written
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from kontrast.training.launcher import Launcher
from kontrast.training.learner import Batches

LOOKS = 2  # epochs from which on computing all features first takes less time than it saves
Frozen = tuple[str, Copies]
FEW = 8  # rows of the first step that show which encoders the tasks call

Asked = Mapping[str, Collection[Copies]]
"""Field -> copies of its encoder whose features stay the same."""


class _Watched(Mapping[str, Any]):
    """Stands for the known features of a view; notes which copies of the encoder are asked for."""

    def __init__(self, field: str, asked: set[Frozen]) -> None:
        self._field, self._asked = field, asked

    def __getitem__(self, copies: str) -> Any:
        self._asked.add((self._field, cast(Copies, copies)))
        raise KeyError(copies)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def frozen(model: Model, first: Batches) -> Asked:
    """Fields whose features stay the same for all of a run, with the copies of their encoder that tasks ask for.

    Those are all copies if nothing in the encoder learns and it is in eval mode even in training, so that neither
    dropout nor batch statistics change its features; else the reference. A view counts that reaches the encoder as it
    was drawn, without augmentation: tasks run once on few rows to see it.

    Args:
        model: The model of the start.
        first: Views of the first step.
    """
    learner, asked, few = model.learner, set[Frozen](), {}
    compared = any("reference" in task.uses for task in learner.parts.values())
    if not compared and not any(map(_still, learner.encoders.networks.values())):
        return {}
    drawings = learner.drawings(model.modalities, seed=0)
    for group, batch in first.items():
        drawing = drawings[group]
        some, views = batch[slice(0, FEW)], {}
        for name, view in some.views.items():
            plain = not drawing.augments(drawing.specs[name])
            views[name] = replace(view, known=_Watched(view.field, asked) if plain else {})
        few[group] = Batch(views, some.keys)
    training = learner.training
    learner.eval()
    with torch.no_grad():
        learner([], lambda _: few)
        learner.targets(few)
    learner.train(training)
    encoder = learner.encoders.encoder
    found: dict[str, list[Copies]] = {}
    for field, copies in sorted(asked):
        if copies == "reference" or _still(encoder(field)):
            found.setdefault(field, []).append(copies)
    return found


def _still(encoder: nn.Module) -> bool:
    before = encoder.training
    still = not encoder.train().training and not any(p.requires_grad for p in encoder.parameters())
    encoder.train(before)
    return still


def decided(plan: Plan, model: Model, first: Batches, epochs: float) -> str:
    """What the plan's `cache_features` is from now on: "on" or "off".

    Args:
        plan: The plan; "auto" is decided.
        model: The model of the start.
        first: Views of the first step.
        epochs: How often the run will see each row.
    """
    if plan.cache_features != "auto":
        return plan.cache_features
    return "on" if epochs >= LOOKS and frozen(model, first) else "off"


def known_features(
    model: Model, data: Dataset, asked: Asked, folder: Folder, fleet: Launcher, logger: Logger
) -> dict[str, dict[str, KnownFeatures]]:
    """Computes features of the training rows that stay the same, or finds them in the cache of the run.

    They are written to the run's cache in parts, so that a resumed run goes on where it was. All processes call it;
    each computes its share.

    Args:
        model: The model; it may be split over processes.
        data: The dataset.
        asked: As from `frozen`.
        folder: The run folder.
        fleet: The processes of the run.
        logger: Receives progress, and what was computed.

    Returns:
        Field -> copy of its encoder -> features by row. A field is left out if its features exceed half of the free
        disk.
    """
    found: dict[str, dict[str, KnownFeatures]] = {}
    rows = np.flatnonzero(data.training)
    for field, copies in asked.items():
        store = data.stores[field]
        there = rows[store.has[rows]]
        order = there[np.argsort(-store.lengths(there), kind="stable")]  # long rows first: little padding
        # Copies of an encoder that stays the same are equal.
        one: Copies = "networks" if _still(model.learner.encoders.encoder(field)) else "reference"
        here = folder.cache / "features" / _key(model, data, field, one, fleet.ranks.world, order)
        encode = partial(_encoded, model, data, field, one)
        parts = written(here, order, encode, folder, fleet, logger, f"encoding {field} once")
        if parts is None:
            logger.fact("cache", f"{field}: features that stay the same exceed half of the free disk; not cached")
            continue
        known = KnownFeatures(parts, order, len(data.ids))
        found[field] = dict.fromkeys(copies, known)
        logger.fact("cache", f"{field}: features of {len(order):,} rows computed once ({size(known.size)})")
    return found


@torch.no_grad()
def _encoded(model: Model, data: Dataset, field: str, copies: Copies, part: np.ndarray) -> Features:
    """Features of some rows, in the number format of the run."""
    encoders, modality = model.learner.encoders, model.modalities[field]
    device = next(model.learner.parameters()).device
    x = modality.preprocess(modality.batch(data.stores[field], part, None))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=encoders.mode.bf16):
        return encoders(field, containers.apply(lambda t: t.to(device), x), copies)


def _key(model: Model, data: Dataset, field: str, copies: Copies, world: int, order: np.ndarray) -> str:
    """Name of the folder: whatever the features depend on."""
    encoders, hashed = model.learner.encoders, hashlib.blake2b(digest_size=12)
    network = encoders.network_of[field]
    nets = encoders.reference if copies == "reference" else encoders.networks
    encoder = nets[network]
    facts: Mapping[str, Any] = {
        "encoder": model.experiment.encoders[network].name,
        "modality": model.experiment.views[field].name,
        "state": model.modalities[field].state(),
        "mode": asdict(encoders.mode) | {"gain": None},
        "dense": encoders.gives_dense,
        "processes": world,
    }
    hashed.update(json.dumps(facts, sort_keys=True, default=str).encode())
    hash_weights(hashed, encoder)
    hashed.update(np.ascontiguousarray(data.content[field][order]).data)
    return f"{Path(field).name}-{hashed.hexdigest()}" if field.isidentifier() else hashed.hexdigest()
