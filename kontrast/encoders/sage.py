"""GraphSAGE: the mean of the neighbours beside the node itself."""

from torch import Tensor, nn

from kontrast.encoders.message_passing import Layer, MessagePassing, gathered
from kontrast.modalities.graph.graphs import Graphs


class SAGE(MessagePassing):
    """GraphSAGE with the mean aggregator.

    Take it for nodes whose neighbours are sampled; edge features are not seen.

    Args:
        node_features: Features per node; from the data.
        hidden: Width of a layer.
        layers: Rounds of messages; the width is `hidden` times that.
        pool: How the nodes of a graph become one vector: "sum" or "mean".

    Equation:
        h'_v = W h_v + V mean_u h_u.

    Reference:
        Hamilton, Ying, Leskovec, "Inductive Representation Learning on Large Graphs", NeurIPS 2017, arXiv:1706.02216.

    Example:
        >>> import torch
        >>> graphs = Graphs.of([2, 1], [(0, 1)], torch.ones(3, 4))
        >>> SAGE(node_features=4, hidden=8, layers=2)(graphs).pooled.shape
        torch.Size([2, 16])
    """

    def layer(self, width: int, out: int) -> Layer:
        """The node beside the mean of its neighbours."""
        return _Beside(width, out)


class _Beside(Layer):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, out)
        self.others = nn.Linear(width, out, bias=False)

    def forward(self, h_NH: Tensor, graphs: Graphs) -> Tensor:
        around_NH = gathered(h_NH[graphs.edges_E2[:, 0]], graphs) / graphs.degree_N.clamp_min(1)[:, None].to(h_NH.dtype)
        return self.own(h_NH) + self.others(around_NH)
