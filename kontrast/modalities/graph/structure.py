"""Counts of what graphs are built of: the raw features.

Axis letters: B rows, N nodes, F features of a node, R raw features.
"""

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.modalities.graph.graphs import Graphs

_BUCKETS = 256  # of hashed colours per round
_ROUNDS = 2
_DEGREES = 12  # degrees 0 to 10, and more


def counts(graphs: Graphs) -> Tensor:
    """Logarithms of the counts of nodes, edges, degrees, features, and of Weisfeiler-Lehman colours: (B, R).

    A colour is a hash of the colours around a node; nodes begin with their features. Colours share 256 buckets a round.

    Reference:
        Shervashidze et al., "Weisfeiler-Lehman Graph Kernels", JMLR 2011.
    """
    degree_N = graphs.degree_N.clamp_max(_DEGREES - 1).long()
    rows = [graphs.summed(torch.nn.functional.one_hot(degree_N, _DEGREES).float())]
    x_NF = graphs.x_NF.float()
    rows.append(graphs.summed(x_NF.abs()))
    colour_N = _colours(x_NF)
    source, target = graphs.edges_E2.unbind(1)
    for _ in range(_ROUNDS):
        around = torch.zeros_like(colour_N).index_add_(0, target, random_streams.mix(colour_N)[source])
        colour_N = random_streams.mix(colour_N * random_streams.GAMMA + around)
        bucket = graphs.row_N * _BUCKETS + colour_N.remainder(_BUCKETS)
        rows.append(torch.bincount(bucket, minlength=len(graphs) * _BUCKETS).view(len(graphs), _BUCKETS).float())
    sizes = torch.stack((graphs.sizes_B, torch.bincount(graphs.row_E, minlength=len(graphs)) // 2), 1)
    return torch.cat((sizes.float(), *rows), 1).log1p()


def _colours(x_NF: Tensor) -> Tensor:
    """(N,) int64 hashes of feature vectors, rounded to a tenth."""
    whole = (x_NF * 10).round().long()
    factors = random_streams.mix(torch.arange(1, x_NF.shape[1] + 1, device=x_NF.device))
    return random_streams.mix((whole * factors).sum(1))
