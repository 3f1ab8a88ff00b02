"""Networks on graphs: what all message passing has in common.

Axis letters: B rows, N nodes of all rows, E edges in both directions, H width, P most nodes of a row.
"""

import itertools
from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from kontrast.core.factory import Range
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.modalities.graph.graphs import Graphs

Pool = Literal["sum", "mean"]
Hidden = Annotated[int, Range(1, 4096)]
Layers = Annotated[int, Range(1, 64)]


class MessagePassing(Encoder, ABC):
    """Layers of message passing; a graph is the sum or the mean of its nodes at every depth, side by side.

    A layer sees the neighbours of a node. Sums over them are `index_add`: torch_geometric has the same layers, and its
    import takes 5 s of processor time in every process.
    """

    def __init__(self, *, node_features: int, hidden: Hidden = 128, layers: Layers = 2, pool: Pool = "mean") -> None:
        super().__init__()
        self.pool: Pool = pool
        widths = [node_features] + [hidden] * layers
        self.layers = nn.ModuleList(self.layer(one, other) for one, other in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(layers))
        self.width = self.dense_width = hidden * layers

    @abstractmethod
    def layer(self, width: int, out: int) -> "Layer":
        """A layer from nodes of one width to nodes of another."""

    def forward(self, x: Graphs) -> Features:
        """Features of graphs.

        Args:
            x: B graphs.

        Returns:
            Pooled (B, layers x hidden); dense (B, P, layers x hidden), a vector per node.
        """
        h_NH, depths = x.x_NF, []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h_NH = layer(h_NH, x)
            h_NH = (norm(h_NH) if len(h_NH) > 1 or not self.training else h_NH).relu()
            depths.append(h_NH)
        every_NH = torch.cat(depths, 1)
        pooled = x.summed(every_NH)
        if self.pool == "mean":
            pooled = pooled / x.sizes_B[:, None]
        if not self.gives_dense:
            return Features(pooled)
        most = int(x.sizes_B.max())
        dense = every_NH.new_zeros(len(x), most, every_NH.shape[1])
        dense = dense.index_put((x.row_N, x.place_N), every_NH)
        return Features(pooled, dense, torch.arange(most, device=dense.device) < x.sizes_B[:, None])


class Layer(nn.Module, ABC):
    """One round of messages."""

    @abstractmethod
    def forward(self, h_NH: Tensor, graphs: Graphs) -> Tensor:
        """New vectors of nodes, (N, out), from those of each node and its neighbours."""


def gathered(messages_EH: Tensor, graphs: Graphs) -> Tensor:
    """(N, H) sums of the messages that reach each node."""
    out = messages_EH.new_zeros(len(graphs.x_NF), messages_EH.shape[1])
    return out.index_add(0, graphs.edges_E2[:, 1], messages_EH)
