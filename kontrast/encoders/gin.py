"""Graph isomorphism network: sums over neighbours and a perceptron."""

import torch
from torch import Tensor, nn

from kontrast.encoders.message_passing import Hidden, Layer, Layers, MessagePassing, Pool, gathered
from kontrast.modalities.graph.graphs import Graphs


class GIN(MessagePassing):
    """Graph isomorphism network, which tells as many graphs apart as the Weisfeiler-Lehman test does.

    Take it for whole graphs and molecules.

    Args:
        node_features: Features per node; from the data.
        edge_features: Features per edge; from the data. If there are any, they are added to the messages (GINE).
        hidden: Width of a layer.
        layers: Rounds of messages; the width is `hidden` times that.
        pool: How the nodes of a graph become one vector. "sum" keeps its size, "mean" does not.

    Equation:
        h'_v = MLP((1 + eps) h_v + sum_u h_u); with edge features sum_u relu(h_u + W e_uv).

    Reference:
        Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019, arXiv:1810.00826; Hu et al. 2020,
        arXiv:1905.12265, for edge features.

    Example:
        >>> graphs = Graphs.of([2, 1], [(0, 1)], torch.ones(3, 4))
        >>> GIN(node_features=4, hidden=8, layers=2)(graphs).pooled.shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        *,
        node_features: int,
        edge_features: int = 0,
        hidden: Hidden = 64,
        layers: Layers = 4,
        pool: Pool = "sum",
    ) -> None:
        self.edge_features = edge_features
        super().__init__(node_features=node_features, hidden=hidden, layers=layers, pool=pool)

    def layer(self, width: int, out: int) -> Layer:
        """Sums over neighbours."""
        return _Sums(width, out, self.edge_features)


class _Sums(Layer):
    def __init__(self, width: int, out: int, edge_features: int) -> None:
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(()))
        self.ties = nn.Linear(edge_features, width) if edge_features else None
        self.body = nn.Sequential(nn.Linear(width, out), nn.ReLU(), nn.Linear(out, out))

    def forward(self, h_NH: Tensor, graphs: Graphs) -> Tensor:
        messages_EH = h_NH[graphs.edges_E2[:, 0]]
        if self.ties is not None:
            messages_EH = (messages_EH + self.ties(graphs.ties_EG)).relu()
        return self.body((1 + self.eps) * h_NH + gathered(messages_EH, graphs))
