"""The learner: encoders, their copies and all tasks in one module, which is what DDP, FSDP and precision wrap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from kontrast.core.choice import Choice
from kontrast.core.clock import Clock
from kontrast.core.containers import Data
from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.data.dataset.drawing import Drawing
from kontrast.data.modality import Modality
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoders import EncodedViews, Encoders
from kontrast.tasks.aggregators.aggregator import Aggregator
from kontrast.tasks.task import Output, Task

Batches = Mapping[str, Batch]
"""Rows of a step by group: tasks with the same rows, sampler and number of rows share a batch."""
Rows = Mapping[str, Mapping[str, Embeddings]]
"""Task -> name of an output -> its embeddings."""


class Learner(nn.Module):
    """Encoders and tasks. Equal views are drawn and encoded once for all tasks of a group.

    Args:
        encoders: All encoders.
        tasks: Name -> task.
        serve: Name of the task that says what is embedded.
        groups: Task -> group of rows that it sees; all see the same by default.
        weights: Task -> weight of its loss; 1 by default.
        augmentations: Task -> role -> augmentation in place of the modality's own.
        mixings: Task -> how rows of its views are mixed; none by default.
        classes: Number of classes of the key `label`, for mixed labels.
        aggregator: Makes one gradient of several tasks; None adds the losses.

    Attributes:
        drawn: Group -> name -> view to draw, in the order of the random streams.
        names: Task -> its name of a view -> the name of the drawn view.
    """

    def __init__(
        self,
        encoders: Encoders,
        tasks: Mapping[str, Task],
        serve: str,
        *,
        groups: Mapping[str, str] | None = None,
        weights: Mapping[str, float] | None = None,
        augmentations: Mapping[str, Mapping[str, Choice]] | None = None,
        mixings: Mapping[str, Choice | None] | None = None,
        classes: int = 0,
        aggregator: Aggregator | None = None,
    ) -> None:
        super().__init__()
        self.encoders, self.tasks, self.serve = encoders, nn.ModuleDict(tasks), serve
        self.classes = classes
        self.aggregator = aggregator
        self.groups = {name: (groups or {}).get(name, "") for name in tasks}
        self.weights = {name: (weights or {}).get(name, 1.0) for name in tasks}
        self.drawn: dict[str, dict[str, ViewSpec]] = {}
        self.names: dict[str, dict[str, str]] = {}
        for name, task in tasks.items():
            self._share(name, task.views(), (augmentations or {}).get(name, {}), (mixings or {}).get(name))
        encoders.keep_copies({use for task in tasks.values() for use in task.uses})

    def _share(
        self, name: str, views: Mapping[str, ViewSpec], augmentations: Mapping[str, Choice], mixing: Choice | None
    ) -> None:
        """Finds the views of a task among those drawn already, and adds the others."""
        drawn = self.drawn.setdefault(self.groups[name], {})
        free, own = dict(drawn), {}
        for local, spec in views.items():
            wanted = replace(
                spec,
                augmentation=spec.augmentation or augmentations.get(spec.role),
                mixing=spec.mixing or mixing,
            )
            found = next((shared for shared, there in free.items() if there == wanted), None)
            if found is None:
                found = f"{name}/{local}"
                drawn[found] = wanted
            free.pop(found, None)
            own[local] = found
        self.names[name] = own

    @property
    def parts(self) -> dict[str, Task]:
        """The tasks by name, typed."""
        return cast(dict[str, Task], dict(self.tasks.items()))

    @property
    def served(self) -> Task:
        """The task that says what is embedded."""
        return self.parts[self.serve]

    @property
    def shared(self) -> bool:
        """Whether all fields share one space."""
        return self.served.shared

    @property
    def needs(self) -> frozenset[str]:
        """Targets that columns of the data must provide; a mixing makes soft labels of labels."""
        found = frozenset[str]()
        for name, task in self.parts.items():
            mixes = any(self.drawn[self.groups[name]][view].mixing for view in self.names[name].values())
            found |= needed(task.needs, mixed=mixes and self.classes > 0)
        return found

    def drawings(self, modalities: Mapping[str, Modality], seed: int, *, mixed: bool = True) -> dict[str, Drawing]:
        """What draws the views of each group.

        Args:
            modalities: Field -> modality.
            seed: Seed of the run.
            mixed: Whether rows are mixed where tasks ask for it. Default: True.
        """
        drawn = self.drawn if mixed else {g: _unmixed(specs) for g, specs in self.drawn.items()}
        return {group: Drawing(specs, modalities, seed=seed, classes=self.classes) for group, specs in drawn.items()}

    def forward(self, leaves: list[Any], rebuild: Callable[[list[Any]], Batches]) -> dict[str, dict[str, Output]]:
        """Outputs of all tasks, with gradient.

        Args:
            leaves: Flat tensors of the batches, as the wrappers want them (`core.containers.flattened`).
            rebuild: Makes the batches of them.
        """
        return self._run(rebuild(leaves), targets=False)

    @torch.no_grad()
    def targets(self, batches: Batches) -> dict[str, dict[str, Output]]:
        """Outputs without gradient, under the same precision."""
        return self._run(batches, targets=True)

    @property
    def has_targets(self) -> bool:
        """Whether any task has outputs without gradient."""
        return any(type(task).targets is not Task.targets for task in self.parts.values())

    def _run(self, batches: Batches, *, targets: bool) -> dict[str, dict[str, Output]]:
        out: dict[str, dict[str, Output]] = {}
        device = next(iter(batches.values())).keys["id"].device
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.encoders.mode.bf16):
            seen = {group: EncodedViews(self.encoders, targets=targets) for group in batches}
            for name, task in self.parts.items():
                group = self.groups[name]
                batch = batches[group]
                own = Batch({local: batch.views[drawn] for local, drawn in self.names[name].items()}, batch.keys)
                found = task.targets(seen[group], own) if targets else task(seen[group], own)
                out[name] = {key: Output(_wide(o.z), o.view, o.keys) for key, o in found.items()}
        return out

    def keys(self, name: str, view: str, batches: Batches) -> Keys:
        """Keys of the rows of a task's view: those of the samples, and those of the view alone."""
        batch = batches[self.groups[name]]
        return {**batch.keys, **batch.views[self.names[name][view]].keys}

    def compute_loss(self, rows: Rows, ranks: Ranks) -> dict[str, dict[str, LossTerm]]:
        """Terms of each task's loss, with the task's weight."""
        return {
            name: {term: self.weights[name] * mean for term, mean in task.compute_loss(rows[name], ranks).items()}
            for name, task in self.parts.items()
        }

    def begin(self, clock: Clock) -> None:
        """Tells all tasks how far the run is, before a step."""
        for task in self.parts.values():
            task.begin(clock)

    def after_update(self, rows: Rows, ranks: Ranks) -> None:
        """Moves the momentum encoders, then lets each task change its state.

        Tasks share the momentum encoders, which move by the slowest of them.
        """
        moved = [task.momentum for task in self.parts.values() if "momentum" in task.uses]
        if moved:
            self.encoders.follow(max(moved))
        for name, task in self.parts.items():
            task.after_update(rows[name], ranks)

    def embed(self, field: str, data: Data) -> Tensor:
        """The served embedding of unaugmented rows of one field, (B, D), not normalised."""
        features = self.encoders(field, data)
        known = {spec.field for spec in self.served.views().values()}
        return self.served.embed(field, features) if field in known else features.pooled

    def positive_pairs(self, rows: Rows) -> Sequence[tuple[Embeddings, Embeddings]]:
        """Positive pairs of the served task; of all tasks if it has none."""
        pairs = {name: task.positive_pairs(rows[name]) for name, task in self.parts.items()}
        return pairs[self.serve] or [pair for found in pairs.values() for pair in found]

    def serving_names(self) -> list[str]:
        """Names of the weights that embedding takes: the encoders, and the served task if it embeds by its own."""
        own = type(self.served).embed is not Task.embed
        first = ("encoders.networks.", *([f"tasks.{self.serve}."] if own else []))
        return [name for name in self.state_dict() if name.startswith(first)]


def needed(needs: frozenset[str], *, mixed: bool) -> frozenset[str]:
    """Targets that a task reads from columns.

    Args:
        needs: What it learns from.
        mixed: Whether a mixing makes soft labels of the labels.
    """
    return (needs - {"soft"}) | {"label"} if mixed else needs


def _unmixed(specs: Mapping[str, ViewSpec]) -> dict[str, ViewSpec]:
    return {name: replace(spec, mixing=None) for name, spec in specs.items()}


def _wide(z: Tensor) -> Tensor:
    return z.float() if z.dtype in (torch.bfloat16, torch.float16) else z
