"""Sets features of nodes to zero."""

from typing import Annotated, Literal

from kontrast.core import random_streams
from kontrast.core.containers import Data
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.graph import draws, expected


class HideFeatures(Augmentation):
    """Hides the features of some nodes, or some features of all nodes.

    Args:
        share: Chance of each node, or of each feature, to be hidden. 0.2, as in GraphCL.
        of: What is hidden. "nodes": all features of some nodes (GraphCL); "features": some features, the same for all
            nodes of a graph (GRACE).

    Raises:
        UserError: the view holds no graphs.

    Reference:
        GraphCL, You et al. 2020, arXiv:2010.13902; GRACE, Zhu et al. 2020, arXiv:2006.04131.

    Example:
        >>> import torch
        >>> from kontrast.data.augmentation import streams_of
        >>> from kontrast.modalities.graph.graphs import Graphs
        >>> x = Graphs.of([3], [], torch.ones(3, 5))
        >>> HideFeatures(share=1)(x, streams_of(torch.arange(1))).x_NF.sum()
        tensor(0.)
    """

    def __init__(
        self, *, share: Annotated[float, Range(0, 1)] = 0.2, of: Literal["nodes", "features"] = "nodes"
    ) -> None:
        self.share, self.of = share, of

    def __call__(self, x: Data, streams: Streams) -> Data:
        """B graphs -> B graphs with the same nodes and edges."""
        x = expected.graphs("hide_features", x)
        if self.of == "nodes":
            hidden = (draws.of_nodes(x, streams.view_B, 2) < self.share)[:, None]
        else:
            u_BF = random_streams.uniform(random_streams.fork(streams.view_B, 2), x.x_NF.shape[1])
            hidden = (u_BF < self.share).to(x.x_NF.device)[x.row_N]
        return x.with_features(x.x_NF.masked_fill(hidden, 0))
