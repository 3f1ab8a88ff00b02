"""A trained encoder as a plain torch module, with its own preprocessing, for a training loop that is not ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError, did_you_mean
from kontrast.runs.model import Model


class Embedder(nn.Module):
    """One field of a run, from cells to features, with gradient.

        encoder = run.module("image")                             # in eval mode, on the CPU
        x = encoder.prepare(["a.png", "b.png"])                   # (B, ...): in a DataLoader's collate_fn, say
        model = nn.Sequential(encoder, nn.Linear(encoder.width, 10))
        one, two = encoder.views(["a.png", "b.png"])              # augmented, as in training

    forward: a prepared batch -> (B, width), what the run is judged and searched by, not yet of length one. It is
    equal to `Run.embed` up to that. In a LightningModule, `self.encoder = run.module("image")` is all. What the method
    has besides for training alone (a projection head, temperatures) stays among the parameters without a gradient:
    under DDP set find_unused_parameters=True, or freeze what `encoder.method` shows.
    """

    def __init__(self, model: Model, field: str, width: int) -> None:
        super().__init__()
        if field not in model.modalities:
            raise UserError(f"this run has no field '{field}'{did_you_mean(field, model.modalities)}")
        self.field, self.width, self.modality = field, width, model.modalities[field]
        self.method = model.method
        towers = self.method.towers
        for tower in set(towers.encoders) - {towers.tower_of[field]}:  # other fields' encoders are not needed
            del towers.encoders[tower]
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) of `prepare` or `views`, on the module's device -> (B, width)."""
        return self.method.embed(self.field, x)

    def prepare(self, cells: Sequence[Any], folder: str | Path = ".") -> Tensor:
        """Cells as the data held them (paths relative to `folder`, texts, arrays) -> a batch without augmentation.

        Raises Unreadable, a ValueError, for a cell that cannot be read.
        """
        return self.modality.preprocess(self._packed(cells, folder))

    def views(self, cells: Sequence[Any], folder: str | Path = ".", *, count: int = 2) -> list[Tensor]:
        """Augmented batches of the same cells, drawn from torch's random numbers (torch.manual_seed repeats them)."""
        batch = self._packed(cells, folder)
        span = torch.iinfo(torch.int64)
        keys = torch.randint(span.min, span.max, (count + 1, len(batch)))
        return [self.modality.augment(batch.clone(), key_B, keys[-1]) for key_B in keys[:-1]]

    def _packed(self, cells: Sequence[Any], folder: str | Path) -> Tensor:
        return self.modality.collate([self.modality.pack(self.modality.read(cell, Path(folder))) for cell in cells])
