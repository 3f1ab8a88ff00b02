"""Takes nodes out of each graph, with the edges at them."""

from typing import Annotated

from kontrast.core.containers import Data
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.graph import draws, expected


class DropNodes(Augmentation):
    """Drops a share of the nodes, chosen with equal chances; one node at least stays.

    Args:
        share: Chance of each node to be dropped. 0.2, as in GraphCL.

    Raises:
        UserError: the view holds no graphs.

    Reference:
        You et al., "Graph Contrastive Learning with Augmentations", NeurIPS 2020, arXiv:2010.13902.

    Example:
        >>> import torch
        >>> from kontrast.data.augmentation import streams_of
        >>> from kontrast.modalities.graph.graphs import Graphs
        >>> x = Graphs.of([4, 4], [(0, 1), (4, 5)], torch.ones(8, 1))
        >>> y = DropNodes(share=0.5)(x, streams_of(torch.arange(2)))
        >>> bool((y.sizes_B <= 4).all())
        True
    """

    def __init__(self, *, share: Annotated[float, Range(0, 1)] = 0.2) -> None:
        self.share = share

    def __call__(self, x: Data, streams: Streams) -> Data:
        """B graphs -> B graphs with at least one node each."""
        x = expected.graphs("drop_nodes", x)
        u_N = draws.of_nodes(x, streams.view_B, 0)
        return x.with_nodes((u_N >= self.share) | draws.largest_of_row(x, u_N))
