"""Learned class centres that are compared with samples as if they were samples."""

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError

# No view of a sample has this number, so a proxy is never mistaken for a row of the batch.
VIEW = -1


class Proxies(nn.Module):
    """One learned centre per class, (classes, width), with the keys `id` and `label` (the class).

    Initialised as in He et al. 2015, arXiv:1502.01852; not normalised, since the kernel does that.

    Args:
        classes: Number of classes, 1 or more.
        width: Width of the embeddings.
    """

    def __init__(self, *, classes: int, width: int) -> None:
        super().__init__()
        if classes < 1 or width < 1:
            raise UserError(f"proxies: classes={classes}, width={width}: expected 1 or more.")
        self.centres = nn.Parameter(nn.init.kaiming_normal_(torch.empty(classes, width), mode="fan_out"))

    def forward(self) -> Embeddings:
        """The centres as rows, for use as candidates or anchors."""
        return as_rows(self.centres)


def as_rows(centres: Tensor) -> Embeddings:
    """Centres (C, D) as rows, with their class numbers as keys."""
    label = torch.arange(len(centres), device=centres.device)
    return Embeddings(centres, {"id": label, "view": torch.full_like(label, VIEW), "label": label})
