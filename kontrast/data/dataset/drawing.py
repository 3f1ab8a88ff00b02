"""Drawing of the augmented views of a batch, all rows at once."""

from collections.abc import Mapping

import torch

from kontrast.core import containers, random_streams
from kontrast.core.containers import Data
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import applied, augmentation_of
from kontrast.data.mixing import Mixing, mix, mixing_of
from kontrast.data.modality import Modality
from kontrast.data.view import Batch, View, ViewSpec


class Drawing:
    """Draws the views that tasks ask for.

    Random numbers depend only on seed, epoch, sample id and the number of the view; those that all rows of a step share
    on seed, step and the number of the view.

    Args:
        specs: Name -> view to draw, in the order of the random streams.
        modalities: Field -> modality, which augments.
        seed: Seed of the run.
        classes: Number of classes of the key `label`, for mixed labels; 0 without labels. Default: 0.
    """

    def __init__(
        self, specs: Mapping[str, ViewSpec], modalities: Mapping[str, Modality], *, seed: int, classes: int = 0
    ) -> None:
        self.specs, self.modalities, self.seed, self.classes = dict(specs), modalities, seed, classes
        self.mixings = {spec: mixing_of(spec.mixing) for spec in specs.values() if spec.mixing}
        self.instead = {spec: augmentation_of(spec.augmentation) for spec in specs.values() if spec.augmentation}

    def __call__(self, batch: Batch, epoch: int, step: int = 0) -> Batch:
        """The batch of the views, with the same keys.

        All views of a field in one role are drawn in one call, since the draws of a batch are a hundred small tensors,
        regardless of the number of rows.

        Args:
            batch: Unaugmented fields.
            epoch: Epoch, from 0.
            step: Step, from 0.
        """
        row, *streams = random_streams.keys(self.seed, epoch, batch.keys["id"], range(-1, len(self.specs)))
        stream_of = dict(zip(self.specs, streams, strict=True))
        shared = random_streams.step_keys(self.seed, step, range(len(self.specs))).to(row.device)
        step_of = dict(zip(self.specs, shared, strict=True))
        drawn: dict[str, View] = {}
        for spec in dict.fromkeys(self.specs.values()):
            mine = [name for name, one in self.specs.items() if one == spec]
            several = containers.repeated(batch.views[spec.field].data, len(mine))
            drawing = Streams(
                torch.cat([stream_of[name] for name in mine]),
                row.repeat(len(mine)),
                torch.cat([step_of[name].expand(len(batch)) for name in mine]),
            )
            parts = containers.split(self._augmented(spec, several, drawing), len(batch))
            known = {} if self.augments(spec) else batch.views[spec.field].known
            drawn |= {name: View(spec.field, part, known=known) for name, part in zip(mine, parts, strict=True)}
        for number, (name, spec) in enumerate(self.specs.items()):
            if mixing := self.mixings.get(spec):
                streams = Streams(stream_of[name], row, step_of[name].expand(len(batch)))
                drawn[name] = self._mixed(mixing, batch, name, number, drawn[name], streams, epoch)
        return Batch({name: drawn[name] for name in self.specs}, batch.keys)

    def _mixed(
        self, mixing: Mixing, batch: Batch, name: str, number: int, view: View, streams: Streams, epoch: int
    ) -> View:
        """A view mixed with the same view of its rows' partners."""
        others, spec = batch.partners[name], self.specs[name]
        row, stream = random_streams.keys(self.seed, epoch, others.keys["id"], (-1, number))
        seen = self._augmented(spec, others.views[spec.field].data, Streams(stream, row, streams.step_B))
        return mix(mixing, view, View(spec.field, seen), batch.keys, others.keys, streams, classes=self.classes)

    def augments(self, spec: ViewSpec) -> bool:
        """Whether anything changes the rows of a view, so that its features differ from step to step."""
        changed = spec in self.instead or spec in self.mixings
        return changed or self.modalities[spec.field].augments(spec.role)

    def _augmented(self, spec: ViewSpec, data: Data, streams: Streams) -> Data:
        modality = self.modalities[spec.field]
        if spec in self.instead:
            return applied(self.instead[spec], modality.preprocess(data), streams)
        return modality.augment(data, streams.view_B, streams.row_B, spec.role, streams.step_B)
