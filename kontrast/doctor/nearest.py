"""The nearest rows of each row by cosine: all with all while they are few, within overlapping cells when they are many.

Axis letters: N rows that ask, M rows that answer, D features, K neighbours, P pivots, H of them near.
"""

import torch
from torch import Tensor

EXACT = 8_000  # rows up to which all are compared with all
_BLOCK = 1_024
_HOMES = 8  # cells a row answers in


def nearest(x_ND: Tensor, y_MD: Tensor | None = None, k: int = 10) -> tuple[Tensor, Tensor]:
    """(cosine (N, K), row of the other side (N, K)), the nearest first; without `y` a row is not its own neighbour.

    K is `k`, or as many as there are. Rows are taken as of length one. Beyond EXACT rows of the other side,
    sqrt(M) of them are pivots, and a row is compared with those whose eight nearest pivots hold its own nearest: near
    copies hardly ever lie further apart, and the cost is N sqrt(M) instead of N M. Where so few are found, cosine is
    -1.
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
    """(N, H): the nearest pivots."""
    return torch.cat([(part @ pivots_PD.mT).topk(_HOMES, 1).indices for part in z.split(_BLOCK)])


def _among(x: Tensor, y: Tensor, asking: Tensor, answering: Tensor, k: int, alone: bool) -> tuple[Tensor, Tensor]:
    """The k nearest among `answering` of each of `asking`."""
    there = y[answering]
    found = []
    for some in asking.split(_BLOCK):
        cosine = x[some] @ there.mT
        if alone:
            cosine.masked_fill_(some[:, None] == answering, -2.0)
        found.append(cosine.topk(k, 1))
    return torch.cat([f.values for f in found]), answering[torch.cat([f.indices for f in found])]
