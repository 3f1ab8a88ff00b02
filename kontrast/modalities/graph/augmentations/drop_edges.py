"""Takes edges out of each graph."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from kontrast.core.containers import Data
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.graph import draws, expected
from kontrast.modalities.graph.graphs import Graphs

_MOST = 0.7  # highest chance of an edge, so that none is sure to go


class DropEdges(Augmentation):
    """Drops a share of the edges, both directions together.

    Args:
        share: Mean chance of an edge to be dropped. 0.2.
        by: Which edges are kept more likely. "none": all alike; "degree": those between nodes of many edges (GCA).

    Raises:
        UserError: the view holds no graphs.

    Equation:
        p_e = min(share (max s - s_e) / (max s - mean s), 0.7), s_e = log of the mean degree of both ends, by "degree".

    Reference:
        GCA, Zhu et al. 2021, arXiv:2010.14945.

    Example:
        >>> import torch
        >>> from kontrast.data.augmentation import streams_of
        >>> from kontrast.modalities.graph.graphs import Graphs
        >>> x = Graphs.of([3], [(0, 1), (1, 2)], torch.zeros(3, 1))
        >>> len(DropEdges(share=1)(x, streams_of(torch.arange(1))).edges_E2)
        0
    """

    def __init__(self, *, share: Annotated[float, Range(0, 1)] = 0.2, by: Literal["none", "degree"] = "none") -> None:
        self.share, self.by = share, by

    def __call__(self, x: Data, streams: Streams) -> Data:
        """B graphs -> B graphs with the same nodes."""
        x = expected.graphs("drop_edges", x)
        u_E = draws.of_edges(x, streams.view_B, 1)
        chance = self.share if self.by == "none" else chances(x, x.degree_N[x.edges_E2].mean(1).log(), self.share)
        return x.with_edges(u_E >= chance)


def chances(graphs: Graphs, score_E: Tensor, share: float) -> Tensor:
    """(E,) chances of being dropped with a mean of about `share` in each row, lower where the score is higher."""
    row_E, B = graphs.row_E, len(graphs)
    number = torch.bincount(row_E, minlength=B).clamp_min(1)
    mean = (score_E.new_zeros(B).index_add(0, row_E, score_E) / number)[row_E]
    most = score_E.new_full((B,), float("-inf")).scatter_reduce(0, row_E, score_E, "amax")[row_E]
    spread = most - mean
    return torch.where(spread > 1e-6, share * (most - score_E) / spread.clamp_min(1e-6), share).clamp_max(_MOST)
