"""Graph attention: each node weighs its neighbours."""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.encoders.message_passing import Hidden, Layer, Layers, MessagePassing, Pool, gathered
from kontrast.modalities.graph.graphs import Graphs


class GAT(MessagePassing):
    """Graph attention network in its second version, whose weights depend on both ends of an edge.

    Take it where some neighbours matter more than others; it takes longer than `gcn`.

    Args:
        node_features: Features per node; from the data.
        edge_features: Features per edge; from the data. If there are any, they take part in the weights.
        hidden: Width of a layer, divided among the heads.
        layers: Rounds of messages; the width is `hidden` times that.
        heads: Sets of weights per layer.
        pool: How the nodes of a graph become one vector: "sum" or "mean".

    Raises:
        UserError: `hidden` is no multiple of `heads`.

    Equation:
        h'_v = sum_u a_uv W h_u over the neighbours and v itself, a_uv the softmax over u of
        a . leaky_relu(V h_v + W h_u + U e_uv), for each head.

    Reference:
        Brody, Alon, Yahav, "How Attentive are Graph Attention Networks?", ICLR 2022, arXiv:2105.14491.

    Example:
        >>> graphs = Graphs.of([2, 1], [(0, 1)], torch.ones(3, 4))
        >>> GAT(node_features=4, hidden=8, layers=2)(graphs).pooled.shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        *,
        node_features: int,
        edge_features: int = 0,
        hidden: Hidden = 128,
        layers: Layers = 2,
        heads: Annotated[int, Range(1, 64)] = 4,
        pool: Pool = "mean",
    ) -> None:
        if hidden % heads:
            raise UserError(f"gat: hidden={hidden}, heads={heads}; expected a multiple of heads.")
        self.edge_features, self.heads = edge_features, heads
        super().__init__(node_features=node_features, hidden=hidden, layers=layers, pool=pool)

    def layer(self, width: int, out: int) -> Layer:
        """Weighted sums over neighbours."""
        return _Attention(width, out, self.heads, self.edge_features)


class _Attention(Layer):
    def __init__(self, width: int, out: int, heads: int, edge_features: int) -> None:
        super().__init__()
        self.heads = heads
        self.source, self.target = nn.Linear(width, out), nn.Linear(width, out)
        self.ties = nn.Linear(edge_features, out, bias=False) if edge_features else None
        self.score = nn.Parameter(torch.randn(heads, out // heads) * (heads / out) ** 0.5)

    def forward(self, h_NH: Tensor, graphs: Graphs) -> Tensor:
        N, (here, there) = len(h_NH), graphs.edges_E2.unbind(1)
        sent_NKW, asked_NKW = (linear(h_NH).view(N, self.heads, -1) for linear in (self.source, self.target))
        pairs_EKW = sent_NKW[here] + asked_NKW[there]
        if self.ties is not None:
            pairs_EKW = pairs_EKW + self.ties(graphs.ties_EG).view(len(here), self.heads, -1)
        score_EK, own_NK = self._scores(pairs_EKW), self._scores(sent_NKW + asked_NKW)
        most_NK = own_NK.detach().scatter_reduce(0, there[:, None].expand_as(score_EK), score_EK.detach(), "amax")
        weight_EK, own_NK = (score_EK - most_NK[there]).exp(), (own_NK - most_NK).exp()
        total_NK = own_NK + gathered(weight_EK, graphs)
        sums_NH = gathered((weight_EK[..., None] * sent_NKW[here]).flatten(1), graphs)
        mixed_NKW = sums_NH.view(N, self.heads, -1) + own_NK[..., None] * sent_NKW
        return (mixed_NKW / total_NK[..., None]).flatten(1)

    def _scores(self, pairs: Tensor) -> Tensor:
        return (F.leaky_relu(pairs, 0.2) * self.score).sum(-1)
