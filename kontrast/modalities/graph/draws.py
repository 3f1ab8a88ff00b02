"""Random numbers of nodes and edges: functions of the stream of a row and a place in its graph, whatever the batch."""

from torch import Tensor

from kontrast.core import random_streams
from kontrast.modalities.graph.graphs import Graphs


def of_nodes(graphs: Graphs, stream_B: Tensor, branch: int) -> Tensor:
    """(N,) uniform numbers in [0, 1), one per node."""
    keys_N = random_streams.fork(stream_B, branch).to(graphs.row_N.device)[graphs.row_N]
    return random_streams.uniform(keys_N + graphs.place_N * random_streams.GAMMA, 1)[:, 0]


def of_edges(graphs: Graphs, stream_B: Tensor, branch: int) -> Tensor:
    """(E,) uniform numbers in [0, 1), one per edge, the same in both directions."""
    one, other = graphs.place_N[graphs.edges_E2].sort(1).values.unbind(1)
    keys_E = random_streams.fork(stream_B, branch).to(one.device)[graphs.row_E]
    keys_E = random_streams.mix(keys_E + (one + 1) * random_streams.GAMMA)
    return random_streams.uniform(keys_E + other * random_streams.GAMMA, 1)[:, 0]


def largest_of_row(graphs: Graphs, values_N: Tensor) -> Tensor:
    """(N,) bool, the nodes with the largest number of their row; one of them at least."""
    most = values_N.new_full((len(graphs),), float("-inf"))
    most = most.scatter_reduce(0, graphs.row_N, values_N, "amax")
    return values_N == most[graphs.row_N]
