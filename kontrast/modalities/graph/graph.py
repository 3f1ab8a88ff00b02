"""Graphs: a row is a whole graph of nodes and edges.

Axis letters: B rows, N nodes of all rows, E edges of all rows, F and G their features.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation, AugmentationChoice, applied, augmentation_of, streams_of
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows, span
from kontrast.data.schema.column import Claim, Column
from kontrast.data.view import Role
from kontrast.modalities.graph.augmentations.drop_edges import DropEdges
from kontrast.modalities.graph.augmentations.drop_nodes import DropNodes
from kontrast.modalities.graph.augmentations.hide_features import HideFeatures
from kontrast.modalities.graph.augmentations.subgraph import Subgraph
from kontrast.modalities.graph.graphs import Graphs
from kontrast.modalities.graph.kinds import Kinds
from kontrast.modalities.graph.preview import drawing
from kontrast.modalities.graph.raw_graph import RawGraph
from kontrast.modalities.graph.read import read
from kontrast.modalities.graph.recognise import recognise
from kontrast.modalities.graph.remarks import example, remarks
from kontrast.modalities.graph.structure import counts

_LOCAL, _WEAK, _STRONG, _CONTEXT = 0.4, 0.5, 1.5, 0.5
_DEGREES = 16  # degrees 0 to 14, and more: features of nodes that carry nothing

Share = Annotated[float, Range(0, 0.9)]


class Graph(Modality):
    """Graphs with labels or numbers at nodes and edges, or none.

    A cell is a record of `edges`, pairs of node numbers, and where there are any `nodes` (their number), `labels`, `x`,
    `edge_labels` and `edge_features`; a networkx or torch_geometric graph; or the name of a graph file. Edges have no
    direction. Nodes that carry nothing get their degree as feature.

    Args:
        change: What a view changes. "one": one of the changes below, drawn per row and view (GraphCL); "all" of them;
            or the one that is named.
        share: Share of the nodes, edges or features that a change takes away.
        augmentation: A change that follows those above.

    Roles of views:
        global: as the settings say.
        local: a connected part of two fifths of the nodes.
        weak: one half of `share`.
        strong: as global, with one and a half times `share`.
        context: a connected part of half of the nodes.
        original: no augmentation.

    Reference:
        You et al., "Graph Contrastive Learning with Augmentations", NeurIPS 2020, arXiv:2010.13902.

    Example:
        >>> graph = Graph()
        >>> items = [graph.read({"edges": [[0, 1], [1, 2]], "labels": ["C", "O", c]}, Path()) for c in "CN"]
        >>> graph.fit(items)
        >>> graph.facts()
        {'node_features': 3, 'edge_features': 0}
    """

    encoder = "gin"
    axes = "BNF"
    precedence = 15
    files = True

    def __init__(
        self,
        *,
        change: Literal["one", "all", "nodes", "edges", "features", "subgraph"] = "one",
        share: Share = 0.2,
        augmentation: AugmentationChoice | None = None,
    ) -> None:
        self.change, self.share = change, share
        self.augmentation = augmentation_of(augmentation)
        self.nodes, self.ties = Kinds([], [], []), Kinds([], [], [])

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Records of edges, and names of graph files."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> RawGraph:
        """Reads nodes and edges.

        Raises:
            Unreadable: with the reason.
        """
        return read(cell, folder)

    def fit(self, items: Sequence[RawGraph]) -> None:
        """Learns the labels and the scales of nodes and edges."""
        if not items:
            raise UserError("graph: no row could be read; expected records of edges, or graph files.")
        self.nodes = Kinds.fitted([item.labels for item in items], [item.x_NF for item in items])
        if self.nodes.width == 1 and self.nodes.labels:  # one label for all says nothing
            self.nodes = Kinds([], [], [])
        self.ties = Kinds.fitted([item.tie_labels for item in items], [item.ties_EG for item in items])

    def pack(self, item: RawGraph) -> dict[str, np.ndarray]:
        """Labels and numbers of nodes, ends of edges, labels and numbers of edges.

        Raises:
            Unreadable: other features than the training rows have.
        """
        return {
            "nodes": self.nodes.pack(item.labels, item.x_NF, "node"),
            "edges": item.edges_E2.astype(np.int32),
            "ties": self.ties.pack(item.tie_labels, item.ties_EG, "edge"),
        }

    def collate(self, packed: Sequence[Any]) -> Graphs:
        """Graphs side by side, each edge in both directions."""
        parts = {name: [row[name] for row in packed] for name in ("nodes", "edges", "ties")}
        sizes = np.array([len(nodes) for nodes in parts["nodes"]], np.int64)
        starts = np.cumsum(sizes) - sizes
        edges = [
            np.concatenate((ends, ends[:, ::-1])) + start for ends, start in zip(parts["edges"], starts, strict=True)
        ]
        ties = [tie for each in parts["ties"] for tie in (each, each)]
        return Graphs(
            torch.from_numpy(sizes),
            torch.from_numpy(np.concatenate(parts["nodes"]).astype(np.float32, copy=False)),
            torch.from_numpy(np.concatenate(edges).astype(np.int64)),
            torch.from_numpy(np.concatenate(ties).astype(np.float32, copy=False)),
            torch.zeros(len(sizes), 0),
        )

    def preprocess(self, batch: Graphs) -> Graphs:
        """One-hot labels and numbers; degrees where nodes carry nothing."""
        x_NF = self.nodes.expand(batch.x_NF)
        if not self.nodes.width:
            degree = batch.degree_N.clamp_max(_DEGREES - 1).long()
            x_NF = torch.nn.functional.one_hot(degree, _DEGREES).float()
        return batch.with_features(x_NF, self.ties.expand(batch.ties_EG))

    def augment(
        self,
        batch: Graphs,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Graphs:
        """Views with fewer nodes, edges or features, by role."""
        x, streams = self.preprocess(batch), streams_of(key_B, row_B, step_B)
        if role == "original":
            return x
        if role in ("local", "context"):
            return Subgraph(share=_LOCAL if role == "local" else _CONTEXT)(x, streams)
        share = min(0.9, self.share * (_WEAK if role == "weak" else _STRONG if role == "strong" else 1))
        if share:
            x = self._changed(x, share, streams)
        return applied(self.augmentation, x, streams, role)

    def augments(self, role: Role) -> bool:
        """Whether any change is on; local and context views always change."""
        return role in ("local", "context") or (
            role != "original" and (self.share > 0 or (role != "weak" and self.augmentation is not None))
        )

    def raw(self, batch: Graphs) -> Tensor:
        """Counts of nodes, edges, degrees, labels and Weisfeiler-Lehman colours: (B, R)."""
        return counts(self.preprocess(batch))

    def is_flat(self, packed: Mapping[str, np.ndarray]) -> bool:
        """Whether a graph is a single node."""
        return len(packed["nodes"]) < 2

    def dimensions(self, lengths: np.ndarray) -> str:
        """Nodes per graph, and features of a node."""
        kinds = f"{len(self.nodes.labels)} labels" if self.nodes.labels else "no labels"
        return f"{span(lengths, 'nodes')}, {kinds}, {len(self.nodes.mean)} numbers each"

    def remarks(self, rows: Rows) -> list[Remark]:
        """Isolated nodes, graphs without edges, very large graphs, bare nodes."""
        return remarks(rows, bool(self.nodes.width))

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Rings with tails, of labelled nodes and edges."""
        return [example(k) for k in range(n)]

    def show(self, packed: Mapping[str, np.ndarray]) -> str:
        """Draws a graph as SVG."""
        codes = packed["nodes"][:, 0].astype(int)
        return drawing(len(codes), packed["edges"], codes, self.nodes.labels)

    def look(self, view: Graphs) -> str:
        """Draws the first graph of a view as SVG."""
        one = view.take(slice(0, 1))
        labels = one.x_NF[:, : len(self.nodes.labels)]
        codes = torch.where(labels.any(1), labels.argmax(1), -1) if labels.shape[1] else one.place_N * 0 - 1
        once = one.edges_E2[one.edges_E2[:, 0] < one.edges_E2[:, 1]]
        return drawing(len(one.x_NF), once.cpu().numpy(), codes.cpu().numpy(), self.nodes.labels)

    def facts(self) -> Mapping[str, Any]:
        """Features per node and per edge."""
        return {"node_features": self.nodes.width or _DEGREES, "edge_features": self.ties.width}

    def state(self) -> dict[str, Any]:
        """Labels and scales."""
        return {"nodes": self.nodes.state(), "ties": self.ties.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.nodes, self.ties = Kinds.restored(state["nodes"]), Kinds.restored(state["ties"])

    def _changed(self, x: Graphs, share: float, streams: Streams) -> Graphs:
        """The graphs after the change that is set, or after one that is drawn for each row."""
        changes: dict[str, Augmentation] = {
            "nodes": DropNodes(share=share),
            "edges": DropEdges(share=share),
            "features": HideFeatures(share=share),
            "subgraph": Subgraph(share=1 - share),
        }
        if self.change == "all":
            for change in (changes["subgraph"], changes["edges"], changes["features"]):
                x = change(x, streams)
            return x
        if self.change != "one":
            return changes[self.change](x, streams)
        drawn_B = random_streams.share(
            random_streams.drawn(random_streams.fork(streams.view_B, 9), 1)[:, 0], len(changes)
        )
        parts, order = [], []
        for number, change in enumerate(changes.values()):
            index = (drawn_B == number).nonzero()[:, 0]
            if len(index):
                some = Streams(streams.view_B[index], streams.row_B[index], streams.step_B[index])
                parts.append(change(x.take(index), some))
                order.append(index)
        return parts[0].join(parts[1:]).take(torch.cat(order).argsort())
