"""Nearest neighbours of each row, as a key for the relation `Neighbours`."""

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.engine import input_checks
from kontrast.losses.tile_weights import TILE


def nearest(z: Tensor, among: Tensor, ids: Tensor, *, k: int, own: Tensor | None = None, tile: int = TILE) -> Tensor:
    """Ids of the k nearest neighbours of each row by cosine, without gradient.

    Neighbours as positives: NNCLR (arXiv:2104.14548), SCAN (arXiv:2005.12320).

    Args:
        z: (N, D) rows.
        among: (M, D) rows to search.
        ids: (M,) ids of the rows of `among`.
        k: Number of neighbours.
        own: (N,) ids of the rows of z, which excludes each row from its own neighbours. None: nothing is excluded.
        tile: Most similarities held at once.

    Returns:
        (N, k) ids, nearest first, padded with -1.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
        >>> nearest(z, z, torch.tensor([10, 11, 12]), k=1, own=torch.tensor([10, 11, 12]))
        tensor([[11],
                [10],
                [11]])
    """
    input_checks.embeddings(z)
    input_checks.embeddings(among, "among", width=z.shape[1])
    k = input_checks.whole(k, "k", least=1)
    with torch.no_grad():
        a, c = F.normalize(z, dim=-1), F.normalize(among, dim=-1)
        rows, found = max(1, tile // max(len(c), 1)), []
        for start in range(0, len(a), rows):
            similar = a[start : start + rows] @ c.mT
            if own is not None:
                similar.masked_fill_(own[start : start + rows, None] == ids, -torch.inf)
            value, at = similar.topk(min(k, len(c)))
            found.append(torch.where(value > -torch.inf, ids[at], -1))
        listed = torch.cat(found) if found else ids.new_empty(0, min(k, len(c)))
        return F.pad(listed, (0, k - listed.shape[1]), value=-1)
