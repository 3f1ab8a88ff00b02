"""Proxies: one learned centre a class, to be compared with as if it were a sample."""

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError

# No view of a sample has this number, so a proxy is never taken for a row of the batch.
VIEW = -1


class Proxies(nn.Module):
    """(classes, width) centres, drawn as He et al. do (the sphere is the kernel's business); their keys are `id` and
    `label`, the class.
    """

    def __init__(self, *, classes: int, width: int) -> None:
        super().__init__()
        if classes < 1 or width < 1:
            raise UserError(f"proxies: classes={classes}, width={width}: expected 1 or more.")
        self.centres = nn.Parameter(nn.init.kaiming_normal_(torch.empty(classes, width), mode="fan_out"))

    def forward(self) -> Embeddings:
        """The centres as candidates, or as anchors."""
        return as_rows(self.centres)


def as_rows(centres: Tensor) -> Embeddings:
    """(C, D) centres with the keys of their classes 0, 1, ..."""
    label = torch.arange(len(centres), device=centres.device)
    return Embeddings(centres, {"id": label, "view": torch.full_like(label, VIEW), "label": label})
