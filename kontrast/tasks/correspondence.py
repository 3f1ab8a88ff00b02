"""Positions of two views that show the same, by the encoder's features.

Axis letters: B rows, P positions of the encoder, Q chosen positions, E features of a position, D compared width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.encoders.features import Features


def chosen_places(features: Features, here_B: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Dense features at positions that are spread evenly over those that exist.

    Args:
        features: Dense features (B, P, E) with their mask.
        here_B: Which rows have the field; the others have no position.
        number: Positions per row, Q. A row with fewer keeps them all, and its last ones do not exist.

    Returns:
        (B, Q, E), and which of them exist, (B, Q).
    """
    dense, mask = features.dense, features.mask
    assert dense is not None
    mask = here_B[:, None].expand(dense.shape[:2]) if mask is None else mask & here_B[:, None]
    found_B1 = mask.sum(1, keepdim=True)
    kept_B1 = found_B1.clamp_max(number)
    q = torch.arange(number, device=dense.device)
    nth = (q * found_B1 // kept_B1.clamp_min(1)).clamp_max(dense.shape[1] - 1)
    at = mask.int().argsort(dim=1, descending=True, stable=True).gather(1, nth)  # the nth position that exists
    return dense.gather(1, at[..., None].expand(-1, -1, dense.shape[2])), q < kept_B1


def matched(queries: Embeddings, keys: Embeddings, width: int) -> tuple[Embeddings, Embeddings]:
    """Positions of one view, and of each the position of the other view with the most similar features.

    Args:
        queries: (B, Q, D + E): what is compared, then the features that are matched by cosine; with a `mask`.
        keys: The same of the other view, row by row.
        width: Width D of what is compared.

    Returns:
        (N, D) each, N the positions that exist, of rows that have some in both views; keys are those of their rows.
    """
    (asked, ours), (given, theirs) = (rows.z.split([width, rows.z.shape[2] - width], 2) for rows in (queries, keys))
    there = keys.keys["mask"]
    with torch.no_grad():
        cosines_BQQ = F.normalize(ours, dim=2) @ F.normalize(theirs, dim=2).mT
        best = cosines_BQQ.masked_fill(~there[:, None], -torch.inf).argmax(2)
    row, at = (queries.keys["mask"] & there.any(1, keepdim=True)).nonzero(as_tuple=True)
    each = [{name: key[row] for name, key in rows.keys.items() if name != "mask"} for rows in (queries, keys)]
    return Embeddings(asked[row, at], each[0]), Embeddings(given[row, best[row, at]], each[1])
