"""Keeps a connected part of each graph."""

from typing import Annotated

import torch

from kontrast.core.containers import Data
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.graph import draws, expected

_ROUNDS = 64  # steps from the first node after which the rest counts as equally far


class Subgraph(Augmentation):
    """Keeps the nodes that are nearest to a random node; among equally near ones the choice is random.

    GraphCL walks at random from the node instead; both keep a connected part of the same size.

    Args:
        share: Share of the nodes that stay, rounded up. 0.8, as in GraphCL.

    Raises:
        UserError: the view holds no graphs.

    Reference:
        GraphCL, You et al. 2020, arXiv:2010.13902.

    Example:
        >>> import torch
        >>> from kontrast.data.augmentation import streams_of
        >>> from kontrast.modalities.graph.graphs import Graphs
        >>> x = Graphs.of([4], [(0, 1), (1, 2), (2, 3)], torch.zeros(4, 1))
        >>> Subgraph(share=0.5)(x, streams_of(torch.arange(1))).sizes_B
        tensor([2])
    """

    def __init__(self, *, share: Annotated[float, Range(0, 1)] = 0.8) -> None:
        self.share = share

    def __call__(self, x: Data, streams: Streams) -> Data:
        """B graphs -> B graphs with at least one node each."""
        x = expected.graphs("subgraph", x)
        u_N = draws.of_nodes(x, streams.view_B, 3)
        far_N = torch.where(draws.largest_of_row(x, u_N), 0, _ROUNDS)
        source, target = x.edges_E2.unbind(1)
        for distance in range(1, _ROUNDS):
            reached = torch.zeros_like(far_N, dtype=torch.bool)
            reached[target[far_N[source] == distance - 1]] = True
            reached &= far_N == _ROUNDS
            if not bool(reached.any()):
                break
            far_N = far_N.masked_fill(reached, distance)
        order = torch.argsort(far_N + u_N * 0.999, stable=True)
        order = order[torch.argsort(x.row_N[order], stable=True)]  # row after row, the nearest first
        kept = torch.zeros(len(u_N), dtype=torch.bool, device=u_N.device)
        kept[order] = x.place_N < (x.sizes_B * self.share).ceil().clamp_min(1)[x.row_N]
        return x.with_nodes(kept)
