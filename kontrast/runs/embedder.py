"""A trained encoder as a plain torch module with its preprocessing, for other training loops."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kontrast.core import containers
from kontrast.core.errors import UserError, did_you_mean
from kontrast.runs.model import Model


class Embedder(nn.Module):
    """Encoder of one field of a run as a torch module with gradients.

    Its output equals that of `Run.embed` before normalisation. In a LightningModule, `self.encoder =
    run.module("image")` suffices. Parts of the tasks used in training only (a projection head, temperatures) stay
    among the parameters and get no gradient: under DDP set find_unused_parameters=True, or freeze those of
    `encoder.learner`.

        encoder = run.module("image")                             # in eval mode, on the CPU
        x = encoder.prepare(["a.png", "b.png"])                   # (B, ...), for example in a DataLoader's collate_fn
        model = nn.Sequential(encoder, nn.Linear(encoder.width, 10))
        one, two = encoder.views(["a.png", "b.png"])              # augmented, as in training

    Attributes:
        field: Name of the field.
        width: Number of features per row; 0 if the run was evaluated without this field.
        modality: The field's fitted modality.
        learner: The tasks, with the encoder of this field alone.
    """

    def __init__(self, model: Model, field: str, width: int) -> None:
        super().__init__()
        if field not in model.modalities:
            raise UserError(f"this run has no field '{field}'{did_you_mean(field, model.modalities)}")
        self.field, self.width, self.modality = field, width, model.modalities[field]
        self.learner = model.learner
        encoders = self.learner.encoders
        for network in set(encoders.networks) - {encoders.network_of[field]}:  # other fields' encoders are not needed
            del encoders.networks[network]
        encoders.momentum, encoders.reference = nn.ModuleDict(), nn.ModuleDict()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Encodes a batch.

        Args:
            x: (B, ...) from `prepare` or `views`, on the module's device.

        Returns:
            (B, width), not normalised.
        """
        return self.learner.embed(self.field, x)

    def prepare(self, cells: Sequence[Any], folder: str | Path = ".") -> Tensor:
        """Reads cells into a batch without augmentation.

        Args:
            cells: Values as the data held them: paths, texts, arrays.
            folder: Folder that relative paths start from.

        Returns:
            (B, ...) for `forward`.

        Raises:
            Unreadable: A cell cannot be read; a ValueError.
        """
        return self.modality.preprocess(self._packed(cells, folder))

    def views(self, cells: Sequence[Any], folder: str | Path = ".", *, count: int = 2) -> list[Tensor]:
        """Reads cells into augmented batches, drawn from torch's global random numbers.

        Args:
            cells: Values as the data held them: paths, texts, arrays.
            folder: Folder that relative paths start from.
            count: Number of views per cell.

        Returns:
            `count` batches of (B, ...) for `forward`, rows in the order of the cells.

        Raises:
            Unreadable: A cell cannot be read; a ValueError.
        """
        batch = self._packed(cells, folder)
        span = torch.iinfo(torch.int64)
        keys = torch.randint(span.min, span.max, (count + 1, len(batch)))
        return [self.modality.augment(containers.cloned(batch), key_B, keys[-1]) for key_B in keys[:-1]]

    def _packed(self, cells: Sequence[Any], folder: str | Path) -> Tensor:
        return self.modality.collate([self.modality.pack(self.modality.read(cell, Path(folder))) for cell in cells])
