"""Nearest neighbours by cosine: exact for few rows, within overlapping cells for many.

Axis letters: N queries, M rows searched, D features, K neighbours, P pivots, H nearest pivots.
"""

import torch
from torch import Tensor

EXACT = 8_000  # largest number of rows to search exactly
_BLOCK = 1_024
_HOMES = 8  # cells that each searched row belongs to


def nearest(x_ND: Tensor, y_MD: Tensor | None = None, k: int = 10) -> tuple[Tensor, Tensor]:
    """Finds the nearest neighbours of each row by cosine.

    Beyond EXACT searched rows, sqrt(M) of them become pivots, and a query is compared with the rows that have its
    nearest pivot among their eight nearest. Near duplicates hardly ever lie further apart, and the cost is N sqrt(M)
    instead of N M.

    Args:
        x_ND: Queries of length one, (N, D).
        y_MD: Rows to search, of length one, (M, D). None: `x_ND`, with a row never its own neighbour.
        k: Number of neighbours, capped at the number of rows available. Default: 10.

    Returns:
        Cosines and row numbers, each (N, K), nearest first; cosine is -1 where fewer than K were found.
    """
    alone = y_MD is None
    y_MD = x_ND if y_MD is None else y_MD
    k = min(k, len(y_MD) - alone)
    if len(y_MD) <= EXACT:
        return _among(x_ND, y_MD, torch.arange(len(x_ND)), torch.arange(len(y_MD)), k, alone)
    pivots_PD = y_MD[:: round(len(y_MD) ** 0.5)]
    home_N, home_MH = _homes(x_ND, pivots_PD)[:, 0], _homes(y_MD, pivots_PD)
    asks = home_N.argsort(stable=True).split(torch.bincount(home_N, minlength=len(pivots_PD)).tolist())
    all_homes = home_MH.flatten()
    sizes = torch.bincount(all_homes, minlength=len(pivots_PD)).tolist()
    answers = (all_homes.argsort(stable=True) // _HOMES).split(sizes)
    cosine, row = torch.full((len(x_ND), k), -1.0), torch.zeros((len(x_ND), k), dtype=torch.int64)
    for asking, answering in zip(asks, answers, strict=True):
        few = min(k, len(answering) - alone)
        if len(asking) and few > 0:
            cosine[asking, :few], row[asking, :few] = _among(x_ND, y_MD, asking, answering, few, alone)
    return cosine, row


def _homes(z: Tensor, pivots_PD: Tensor) -> Tensor:
    """Nearest pivots of each row, (N, H)."""
    return torch.cat([(part @ pivots_PD.mT).topk(_HOMES, 1).indices for part in z.split(_BLOCK)])


def _among(x: Tensor, y: Tensor, asking: Tensor, answering: Tensor, k: int, alone: bool) -> tuple[Tensor, Tensor]:
    """Nearest k among the rows `answering` for each of the rows `asking`."""
    there = y[answering]
    found = []
    for some in asking.split(_BLOCK):
        cosine = x[some] @ there.mT
        if alone:
            cosine.masked_fill_(some[:, None] == answering, -2.0)
        found.append(cosine.topk(k, 1))
    return torch.cat([f.values for f in found]), answering[torch.cat([f.indices for f in found])]
