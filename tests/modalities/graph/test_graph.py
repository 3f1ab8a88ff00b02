"""Graphs: what is read, how batches are cut, what changes take away, and what networks compute on them."""

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch

from kontrast.core import containers, factory, random_streams
from kontrast.core.errors import Unreadable, UserError
from kontrast.data.augmentation import streams_of
from kontrast.data.remark import Rows
from kontrast.data.sources.open_source import open_frame
from kontrast.data.sources.python_values import column
from kontrast.modalities.graph.graph import Graph
from kontrast.modalities.graph.graphs import Graphs

pytestmark = pytest.mark.quick
HERE = Path()
RINGS = Graph.examples(24)


def fitted(cells=RINGS, **settings):
    graph = Graph(**settings)
    items = [graph.read(cell, HERE) for cell in cells]
    graph.fit(items)
    return graph, graph.collate([graph.pack(item) for item in items])


def plain(graphs):
    """Each row by itself: nodes, dense adjacency."""
    found = []
    for k in range(len(graphs)):
        one = graphs.take(k)
        dense = torch.zeros(len(one.x_NF), len(one.x_NF))
        dense[one.edges_E2[:, 1], one.edges_E2[:, 0]] = 1
        found.append((one.x_NF, dense))
    return found


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(containers.tensors(one), containers.tensors(other), strict=True))


def test_a_batch_is_cut_repeated_and_joined_as_its_rows_are():
    graph, batch = fitted()
    packed = [graph.pack(graph.read(cell, HERE)) for cell in RINGS]
    for index in ([3], [5, 2, 2, 20], [], list(range(24))):
        wanted = graph.collate([packed[k] for k in index]) if index else None
        found = batch.take(torch.tensor(index, dtype=torch.int64))
        assert len(found) == len(index)
        if wanted is not None:
            ordered = [sorted(map(tuple, g.edges_E2.tolist())) for g in (found, wanted)]
            assert ordered[0] == ordered[1]
            assert torch.equal(found.x_NF, wanted.x_NF)
    assert equal(batch.take(slice(4, 9)), batch.take(torch.arange(4, 9)))
    mask = torch.arange(24) % 3 == 0
    assert equal(batch.take(mask), batch.take(mask.nonzero()[:, 0]))
    twice = containers.repeated(batch, 2)
    one, two = containers.split(twice, 24)
    assert equal(one, batch)
    assert equal(two, batch)
    assert equal(containers.joined([batch.take(slice(0, 4)), batch.take(slice(4, 24))]), batch)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ({"nodes": 2}, "expected `edges`"),
        ({"edges": []}, "no node"),
        ({"edges": [[0, 3]], "nodes": 3}, "edge at node 3, and 3 nodes"),
        ({"edges": [[0, -1]], "nodes": 3}, "edge at node -1"),
        ({"edges": [[0, 1]], "labels": ["C"]}, "2 nodes, but 1 labels|edge at node 1, and 1 nodes"),
        ({"edges": [[0, 1, 2]] * 3}, "edges of shape 3 x 3"),
        ({"edges": [[0.5, 1]]}, "no nodes; expected whole numbers"),
        ({"edges": "abc"}, "edges"),
        ({"edges": [[0, 1]], "x": [["a"], ["b"]]}, "features of nodes"),
        ({"edges": [[0, 1]], "edge_labels": ["a", "b"]}, "1 edges, but 2"),
        ("nothing.graphml", "cannot be opened"),
        ("a few words", "expected the name of a file"),
        (5, "is int"),
    ],
)
def test_what_is_no_graph_is_refused_with_the_reason(cell, words):
    with pytest.raises(Unreadable, match=words):
        Graph().read(cell, HERE)


def test_an_edge_counts_once_and_loops_do_not():
    item = Graph().read({"edges": [[1, 0], [0, 1], [2, 2], [1, 2]], "edge_labels": list("abcd")}, HERE)
    assert item.edges_E2.tolist() == [[0, 1], [1, 2]]
    assert item.tie_labels == ["a", "d"]
    assert Graph().read({"edges": np.array([[0, 1, 2], [1, 2, 0]])}, HERE).edges_E2.shape == (3, 2)


def test_networkx_graphs_and_their_files_are_the_record_they_describe(tmp_path):
    ring = nx.cycle_graph(5)
    nx.set_node_attributes(ring, {k: "CN"[k % 2] for k in ring}, "element")
    nx.set_node_attributes(ring, {k: 0.5 * k for k in ring}, "charge")
    nx.set_edge_attributes(ring, dict.fromkeys(ring.edges, 1.5), "weight")
    record = {"nodes": 5, "edges": [list(e) for e in ring.edges], "labels": list("CNCNC")}
    wanted = Graph().read({**record, "x": [[0.5 * k] for k in range(5)], "edge_features": [[1.5]] * 5}, HERE)
    nx.write_graphml(ring, tmp_path / "ring.graphml")
    nx.write_gml(ring, tmp_path / "ring.gml")
    for cell in (ring, column([ring, None], "data")[0].as_py(), "ring.graphml", "ring.gml"):
        found = Graph().read(cell, tmp_path)
        assert found.labels == wanted.labels
        np.testing.assert_array_equal(np.sort(found.edges_E2, 0), np.sort(wanted.edges_E2, 0))
        np.testing.assert_allclose(found.x_NF[:, -1:], wanted.x_NF)
    (tmp_path / "broken.graphml").write_text("<graphml><node")
    with pytest.raises(Unreadable, match=r"is no \.graphml file that networkx reads"):
        Graph().read("broken.graphml", tmp_path)


def test_graphs_of_torch_geometric_are_read():
    """By a stand-in with its names: to import the package takes 5 s of processor time."""
    parts = {"num_nodes": 3, "x": torch.eye(3), "edge_index": torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])}
    data = type("Data", (), {"__module__": "torch_geometric.data.data", "edge_attr": None, **parts})()
    for cell in (data, column([data], "data")[0].as_py()):
        item = Graph().read(cell, HERE)
        assert item.edges_E2.tolist() == [[0, 1], [1, 2]]
        np.testing.assert_array_equal(item.x_NF, np.eye(3))


def test_unknown_labels_and_other_features():
    graph, _ = fitted([{"edges": [[0, 1]], "labels": ["C", "O"], "x": [1, 2]}] * 3)
    assert graph.pack(graph.read({"edges": [[0, 1]], "labels": ["Xe", "O"], "x": [1, 2]}, HERE))["nodes"][0, 0] == -1
    with pytest.raises(Unreadable, match="2 features per node; expected 1"):
        graph.pack(graph.read({"edges": [[0, 1]], "x": [[1, 2], [3, 4]]}, HERE))


def test_bare_nodes_are_told_apart_by_degree():
    graph, batch = fitted([{"edges": [[0, 1], [1, 2], [1, 3]]}, {"edges": [[0, 1]]}])
    assert graph.preprocess(batch).x_NF.argmax(1).tolist() == [1, 3, 1, 1, 1, 1]


@pytest.mark.parametrize("name", ["drop_nodes", "drop_edges", "hide_features", "subgraph"])
def test_a_change_takes_its_share_and_each_row_draws_by_itself(name):
    cells = [{"nodes": 40, "edges": [[i, (i + 1) % 40] for i in range(40)], "labels": ["C"] * 20 + ["O"] * 20}] * 50
    graph, batch = fitted(cells)
    x = graph.preprocess(batch)
    share = 0.7 if name == "subgraph" else 0.3
    change, key = factory.build("augmentations", name, {"share": share}), random_streams.key(0, 0, torch.arange(50), 0)
    seen = change(x, streams_of(key))
    assert equal(seen, change(x, streams_of(key)))
    assert equal(change(x.take(slice(7, 20)), streams_of(key[7:20])), seen.take(slice(7, 20)))
    assert (
        len({str(g.x_NF.tolist()) + str(g.edges_E2.tolist()) for g in map(seen.take, range(50))}) > 20
    )  # a ring of 40 has 40 paths of a length
    measured = {
        "drop_nodes": 1 - len(seen.x_NF) / len(x.x_NF),
        "drop_edges": 1 - len(seen.edges_E2) / len(x.edges_E2),
        "hide_features": float((seen.x_NF.sum(1) == 0).float().mean()),
        "subgraph": len(seen.x_NF) / len(x.x_NF),
    }
    assert measured[name] == pytest.approx(share, abs=0.04)
    both = {tuple(edge) for edge in seen.edges_E2.tolist()}
    assert all((b, a) in both for a, b in both)
    if name == "subgraph":  # a connected part of a ring is a path
        assert seen.sizes_B.unique().tolist() == [28]
        assert all(int(dense.sum()) == 2 * 27 for _, dense in plain(seen))
    with pytest.raises(UserError, match=f"{name}: expected graphs"):
        change(torch.zeros(2, 3, 8, 8), streams_of(key[:2]))


def test_edges_between_nodes_of_many_edges_are_kept():
    star = [[0, k] for k in range(1, 20)] + [[k, k + 1] for k in range(20, 30)] + [[19, 20]]
    graph, batch = fitted([{"edges": star}] * 200)
    change = factory.build("augmentations", "drop_edges", {"share": 0.4, "by": "degree"})
    seen = change(graph.preprocess(batch), streams_of(random_streams.key(0, 0, torch.arange(200), 0)))
    kept = torch.bincount((seen.edges_E2 % 31).amin(1) + 0, minlength=31)
    assert kept[0] / (2 * 19 * 200) > 0.75 > 0.7 > kept[20:30].float().mean() / (2 * 200)


def by_hand(name, net, x, dense, ties):
    """One layer on one graph, from its dense adjacency."""
    h, A = x.double(), dense.double()
    layer = net.layers[0]
    if name == "gin":
        relu = torch.nn.functional.relu
        message = relu(h[None] + layer.ties(ties)) * A[..., None]
        return layer.body((1 + layer.eps) * h + message.sum(1))
    if name == "gcn":
        full = A + torch.eye(len(A))
        d = full.sum(1).rsqrt()
        return (d[:, None] * full * d) @ layer.linear(h)
    if name == "sage":
        return layer.own(h) + layer.others(A @ h / A.sum(1, keepdim=True).clamp_min(1))
    K = layer.heads
    sent, asked = (linear(h).view(len(h), K, -1) for linear in (layer.source, layer.target))
    bond = layer.ties(ties).view(len(h), len(h), K, -1) * A[..., None, None]
    pair = torch.nn.functional.leaky_relu(asked[:, None] + sent[None] + bond, 0.2)
    score = (pair * layer.score).sum(-1).masked_fill((A + torch.eye(len(A)) == 0)[..., None], -torch.inf)
    return torch.einsum("vuk,ukw->vkw", score.softmax(1), sent).flatten(1)


@pytest.mark.parametrize("name", ["gin", "gcn", "sage", "gat"])
def test_a_network_is_its_formula_on_a_dense_matrix_and_nodes_are_its_dense_features(name):
    graph, batch = fitted()
    x = graph.preprocess(batch)
    facts = graph.facts()
    net = factory.build("encoders", name, {"hidden": 12, "layers": 1, "pool": "mean"}, given=facts).double().eval()
    x = containers.apply(lambda t: t.double() if t.is_floating_point() else t, x)
    found = net(x)
    for k in (0, 7, 23):
        one = x.take(k)
        n = len(one.x_NF)
        dense, ties = torch.zeros(n, n).double(), torch.zeros(n, n, one.ties_EG.shape[1]).double()
        dense[one.edges_E2[:, 1], one.edges_E2[:, 0]] = 1
        ties[one.edges_E2[:, 1], one.edges_E2[:, 0]] = one.ties_EG
        wanted = (net.norms[0](by_hand(name, net, one.x_NF, dense, ties))).relu()
        torch.testing.assert_close(found.dense[k, :n], wanted)
        torch.testing.assert_close(found.pooled[k], wanted.mean(0))
        assert found.mask[k].sum() == n
        torch.testing.assert_close(net(one).pooled[0], found.pooled[k])


def test_raw_features_tell_a_ring_of_six_from_two_of_three():
    rings = [[i, (i + 1) % 6] for i in range(6)], [[0, 1], [1, 2], [2, 0], [3, 4], [4, 5], [5, 3]]
    tailed = [{"edges": [*edges, [5, 6]]} for edges in rings]
    graph, batch = fitted(tailed)
    raw = graph.raw(batch)
    assert torch.equal(raw[0, :14], raw[1, :14])  # sizes and degrees are equal, colours are not
    assert not torch.equal(raw[0], raw[1])


def test_files_of_the_tu_collection_and_archives_are_one_row_per_graph(tmp_path):
    folder = tmp_path / "RINGS"
    folder.mkdir()
    files = {
        "A": "1, 2\n2, 1\n2, 3\n3, 2\n4, 5\n5, 4",
        "graph_indicator": "1\n1\n1\n2\n2",
        "graph_labels": "1\n-1",
        "node_labels": "7\n8\n7\n8\n8",
        "edge_labels": "0\n0\n1\n1\n0\n0",
    }
    for name, lines in files.items():
        (folder / f"RINGS_{name}.txt").write_text(lines + "\n")
    edges = np.array([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
    np.savez(tmp_path / "rings.npz", edge_index=edges, graph_id=[0, 0, 0, 1, 1], node_label=[7, 8, 7, 8, 8], y=[1, -1])
    for data, label in ((folder, "label"), (tmp_path / "rings.npz", "y")):
        frame = open_frame(data, cache=None)
        cells = frame.columns["graph"].to_pylist()
        assert [cell["nodes"] for cell in cells] == [3, 2]
        assert [[str(v) for v in cell["labels"]] for cell in cells] == [["7", "8", "7"], ["8", "8"]]
        assert cells[1]["edges"] == [[0, 1], [1, 0]]
        assert [str(v) for v in frame.columns[label].to_pylist()] == ["1", "-1"]
    (folder / "RINGS_node_labels.txt").write_text("7\n8\n")
    with pytest.raises(UserError, match="2 labels for 5 nodes"):
        open_frame(folder, cache=None)
    np.savez(tmp_path / "rings.npz", edge_index=edges, graph_id=[0, 0, 1, 1, 1])
    with pytest.raises(UserError, match="joins nodes 1 and 2, which belong to two graphs"):
        open_frame(tmp_path / "rings.npz", cache=None)


def test_a_state_is_json_and_remarks_name_what_is_odd():
    cells = [{"edges": [], "nodes": 4}, {"edges": [[0, 1]], "nodes": 3}, *RINGS[:10]]
    cells = [{k: v for k, v in cell.items() if k in ("edges", "nodes")} for cell in cells]
    graph, _ = fitted(cells)
    json.dumps(graph.state())
    packed = [graph.pack(graph.read(cell, HERE)) for cell in cells]
    found = {r.name for r in graph.remarks(Rows("g", HERE, cells, packed, np.array([len(p["nodes"]) for p in packed])))}
    assert found == {"graphs without edges", "isolated nodes", "bare nodes"}
    assert isinstance(graph.preprocess(graph.collate(packed)), Graphs)
