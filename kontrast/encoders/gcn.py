"""Graph convolutional network: means over neighbours, weighted by degrees."""

from torch import Tensor, nn

from kontrast.encoders.message_passing import Layer, MessagePassing, gathered
from kontrast.modalities.graph.graphs import Graphs


class GCN(MessagePassing):
    """Graph convolutional network.

    Take it for nodes of one large graph; edge features are not seen.

    Args:
        node_features: Features per node; from the data.
        hidden: Width of a layer.
        layers: Rounds of messages; the width is `hidden` times that.
        pool: How the nodes of a graph become one vector: "sum" or "mean".

    Equation:
        h'_v = W sum_u h_u / sqrt(d_u d_v) over the neighbours and v itself, d the degree plus one.

    Reference:
        Kipf, Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017, arXiv:1609.02907.

    Example:
        >>> import torch
        >>> graphs = Graphs.of([2, 1], [(0, 1)], torch.ones(3, 4))
        >>> GCN(node_features=4, hidden=8, layers=2)(graphs).pooled.shape
        torch.Size([2, 16])
    """

    def layer(self, width: int, out: int) -> Layer:
        """Means over neighbours."""
        return _Means(width, out)


class _Means(Layer):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, out)

    def forward(self, h_NH: Tensor, graphs: Graphs) -> Tensor:
        h_NH = self.linear(h_NH)
        scale_N1 = (graphs.degree_N + 1).rsqrt()[:, None].to(h_NH.dtype)
        scaled_NH = h_NH * scale_N1
        return scale_N1 * (scaled_NH + gathered(scaled_NH[graphs.edges_E2[:, 0]], graphs))
