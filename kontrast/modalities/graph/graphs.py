"""A batch of graphs: nodes and edges of all rows in one, which is still cut, repeated and moved row by row.

Axis letters: B rows, N nodes of all rows, F features of a node, E edges of all rows in both directions, G features of
an edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


@dataclass(frozen=True, eq=False)
class Graphs:
    """B graphs, side by side as one graph that is not connected.

    Attributes:
        sizes_B: (B,) int64, nodes of each row; the nodes of a row stand together, in the order of the rows.
        x_NF: (N, F) float, features of nodes.
        edges_E2: (E, 2) int64, from and to, as numbers of nodes; row after row, each edge in both directions.
        ties_EG: (E, G) float, features of edges.
        rows_BR: (B, R) float, features of whole rows (the fingerprint of a molecule), which encoders do not see.
    """

    sizes_B: Tensor
    x_NF: Tensor
    edges_E2: Tensor
    ties_EG: Tensor
    rows_BR: Tensor

    @classmethod
    def of(
        cls, sizes: Sequence[int], edges: Sequence[tuple[int, int]], x_NF: Tensor, ties_EG: Tensor | None = None
    ) -> "Graphs":
        """Graphs of some sizes.

        Args:
            sizes: Nodes of each row.
            edges: Pairs of nodes, numbered over all rows, each pair once.
            x_NF: (N, F) features of nodes.
            ties_EG: (pairs, G) features of edges; None for none.

        Example:
            >>> len(Graphs.of([2, 1], [(0, 1)], torch.ones(3, 4)).edges_E2)  # both directions
            2
        """
        pairs = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2)
        ties = torch.zeros(len(pairs), 0) if ties_EG is None else ties_EG
        empty = torch.zeros(len(sizes), 0)
        return cls(torch.tensor(sizes), x_NF, torch.cat((pairs, pairs.flip(1))), torch.cat((ties, ties)), empty)

    def __len__(self) -> int:
        return len(self.sizes_B)

    def __getitem__(self, rows: Any) -> "Graphs":
        return self.take(rows)

    @cached_property
    def row_N(self) -> Tensor:
        """(N,) int64, the row of each node."""
        rows = torch.arange(len(self.sizes_B), device=self.sizes_B.device)
        return rows.repeat_interleave(self.sizes_B, output_size=len(self.x_NF))

    @cached_property
    def place_N(self) -> Tensor:
        """(N,) int64, the place of each node among those of its row."""
        starts = self.sizes_B.cumsum(0) - self.sizes_B
        return torch.arange(len(self.x_NF), device=self.sizes_B.device) - starts[self.row_N]

    @cached_property
    def row_E(self) -> Tensor:
        """(E,) int64, the row of each edge."""
        return self.row_N[self.edges_E2[:, 0]]

    @cached_property
    def degree_N(self) -> Tensor:
        """(N,) float, edges of each node."""
        ones = torch.ones(len(self.edges_E2), device=self.x_NF.device)
        return ones.new_zeros(len(self.x_NF)).index_add(0, self.edges_E2[:, 1], ones)

    def take(self, rows: Any) -> "Graphs":
        """The graphs of some rows: an index, a slice, a mask or whole numbers."""
        device, B = self.sizes_B.device, len(self.sizes_B)
        index = torch.atleast_1d(torch.arange(B, device=device)[rows])
        sizes = self.sizes_B[index]
        nodes = _spans(self.sizes_B, index)
        edge_sizes = torch.bincount(self.row_E, minlength=B)
        edges = _spans(edge_sizes, index)
        starts, new = self.sizes_B.cumsum(0) - self.sizes_B, sizes.cumsum(0) - sizes
        moved = (new - starts[index]).repeat_interleave(edge_sizes[index], output_size=len(edges))
        ends = self.edges_E2[edges] + moved[:, None]
        return Graphs(sizes, self.x_NF[nodes], ends, self.ties_EG[edges], self.rows_BR[index])

    def repeat(self, times: int) -> "Graphs":
        """All rows `times` over, one after another."""
        return self if times == 1 else self.join([self] * (times - 1))

    def join(self, others: Sequence["Graphs"]) -> "Graphs":
        """These rows and then those of others."""
        parts, edges, at = [self, *others], [], 0
        for part in parts:
            edges.append(part.edges_E2 + at)
            at += len(part.x_NF)
        sizes, x, ties, rows = (
            torch.cat(tensors)
            for tensors in zip(*((p.sizes_B, p.x_NF, p.ties_EG, p.rows_BR) for p in parts), strict=True)
        )
        return Graphs(sizes, x, torch.cat(edges), ties, rows)

    def with_nodes(self, kept_N: Tensor) -> "Graphs":
        """The graphs without some nodes and the edges at them.

        Args:
            kept_N: (N,) bool, at least one node of each row.
        """
        number = kept_N.cumsum(0) - 1
        there = kept_N[self.edges_E2].all(1)
        sizes = torch.zeros_like(self.sizes_B).index_add_(0, self.row_N, kept_N.long())
        return Graphs(sizes, self.x_NF[kept_N], number[self.edges_E2[there]], self.ties_EG[there], self.rows_BR)

    def with_edges(self, kept_E: Tensor) -> "Graphs":
        """The graphs without some edges; both directions should be kept or left out together."""
        return Graphs(self.sizes_B, self.x_NF, self.edges_E2[kept_E], self.ties_EG[kept_E], self.rows_BR)

    def with_features(self, x_NF: Tensor, ties_EG: Tensor | None = None) -> "Graphs":
        """The same graphs with other features."""
        return Graphs(self.sizes_B, x_NF, self.edges_E2, self.ties_EG if ties_EG is None else ties_EG, self.rows_BR)

    def with_rows(self, rows_BR: Tensor) -> "Graphs":
        """The same graphs with features of whole rows."""
        return Graphs(self.sizes_B, self.x_NF, self.edges_E2, self.ties_EG, rows_BR)

    def summed(self, values_NF: Tensor) -> Tensor:
        """(B, F) sums over the nodes of each row."""
        return values_NF.new_zeros(len(self), values_NF.shape[1]).index_add(0, self.row_N, values_NF)


def _spans(sizes: Tensor, index: Tensor) -> Tensor:
    """Places of the entries of chosen rows, if row r has `sizes[r]` entries one after another."""
    starts, chosen = sizes.cumsum(0) - sizes, sizes[index]
    total = int(chosen.sum())
    inside = torch.arange(total, device=sizes.device)
    inside = inside - (chosen.cumsum(0) - chosen).repeat_interleave(chosen, output_size=total)
    return starts[index].repeat_interleave(chosen, output_size=total) + inside


pytree.register_pytree_node(
    Graphs,
    lambda g: ([g.sizes_B, g.x_NF, g.edges_E2, g.ties_EG, g.rows_BR], None),
    lambda parts, _: Graphs(*parts),
)
