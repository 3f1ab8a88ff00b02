"""Drawing of the augmented views of a batch, all rows at once."""

from collections.abc import Mapping

import torch

from kontrast.core import containers, random_streams
from kontrast.core.containers import Data
from kontrast.data.augmentation import applied, augmentation_of
from kontrast.data.modality import Modality
from kontrast.data.view import Batch, View, ViewSpec


class Drawing:
    """Draws the views that tasks ask for.

    Random numbers depend only on seed, epoch, sample id and the number of the view.

    Args:
        specs: Name -> view to draw, in the order of the random streams.
        modalities: Field -> modality, which augments.
        seed: Seed of the run.
    """

    def __init__(self, specs: Mapping[str, ViewSpec], modalities: Mapping[str, Modality], *, seed: int) -> None:
        self.specs, self.modalities, self.seed = dict(specs), modalities, seed
        self.instead = {spec: augmentation_of(spec.augmentation) for spec in specs.values() if spec.augmentation}

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        """The batch of the views, with the same keys.

        All views of a field in one role are drawn in one call, since the draws of a batch are a hundred small tensors,
        regardless of the number of rows.

        Args:
            batch: Unaugmented fields.
            epoch: Epoch, from 0.
        """
        row, *streams = random_streams.keys(self.seed, epoch, batch.keys["id"], range(-1, len(self.specs)))
        stream_of = dict(zip(self.specs, streams, strict=True))
        drawn: dict[str, View] = {}
        for spec in dict.fromkeys(self.specs.values()):
            mine = [name for name, one in self.specs.items() if one == spec]
            several = containers.repeated(batch.views[spec.field].data, len(mine))
            key_B = torch.cat([stream_of[name] for name in mine])
            parts = containers.split(self._augmented(spec, several, key_B, row.repeat(len(mine))), len(batch))
            drawn |= {name: View(spec.field, part) for name, part in zip(mine, parts, strict=True)}
        return Batch({name: drawn[name] for name in self.specs}, batch.keys)

    def _augmented(self, spec: ViewSpec, data: Data, key_B: torch.Tensor, row_B: torch.Tensor) -> Data:
        modality = self.modalities[spec.field]
        if spec in self.instead:
            return applied(self.instead[spec], modality.preprocess(data), key_B)
        return modality.augment(data, key_B, row_B)
