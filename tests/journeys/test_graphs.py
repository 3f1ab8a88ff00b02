"""The journey of graphs: train, resume, embed others, evaluate, index, search, report, two processes."""

import json
import subprocess
import sys

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from kontrast.exports.exporting import export
from tests.support.journeys import number, same_whatever_the_batch, travels
from tests.support.settings import FAST

pytestmark = pytest.mark.slow
SMALL = {**FAST, "encoders.graph": {"name": "gin", "hidden": 8, "layers": 2}}


def graphs(n=90, seed=0):
    """Rings, stars and paths of several sizes as an archive's arrays."""
    rng = np.random.default_rng(seed)
    edges, owner, kinds, at = [], [], [], 0
    for k in range(n):
        size, kind = int(rng.integers(6, 12)), k % 3
        pairs = [(0, j) for j in range(1, size)] if kind == 1 else [(j, j + 1) for j in range(size - 1)]
        pairs += [(size - 1, 0)] if kind == 0 else []
        edges += [(a + at, b + at) for a, b in pairs]
        owner += [k] * size
        kinds.append(("ring", "star", "path")[kind])
        at += size
    return {"edge_index": np.array(edges).T, "graph_id": np.array(owner), "label": np.array(kinds)}


def test_graphs_go_all_the_way(tmp_path):
    data = tmp_path / "graphs.npz"
    np.savez(data, **graphs())
    run = travels(data, tmp_path, steps=60, settings=SMALL, recipe="graphcl")
    assert number(run, "linear accuracy") > 0.8
    same_whatever_the_batch(run, data)
    new = tmp_path / "new.npz"
    np.savez(new, **{name: part for name, part in graphs(9, seed=1).items() if name != "label"})
    assert np.isfinite(run.embed(new).z["graph"]).all()
    run.index(data)
    star = {"edges": [[0, j] for j in range(1, 9)]}
    assert [hit.label for hit in run.search(like=star, k=5)].count("star") >= 4
    assert "<svg" in run.report().read_text()
    with pytest.raises(UserError, match="onnx"):
        export(run, "onnx", tmp_path / "onnx")


@pytest.mark.dist
def test_two_processes_train_what_one_does(tmp_path):
    data = tmp_path / "graphs.npz"
    np.savez(data, **graphs(40))
    words = [sys.executable, "-m", "kontrast", "train", data, "--steps", 3, "--batch", 11, "--precision", "32"]
    words += ["--encoder", "graph=gin,hidden=8,layers=2"]
    found = []
    for more in (["--out", tmp_path / "one"], ["--out", tmp_path / "two", "--devices", 2]):
        done = subprocess.run([*map(str, [*words, *more])], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = (more[1] / "metrics.jsonl").read_text().splitlines()
        found.append([json.loads(line)["loss"] for line in lines])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_a_graph_learns_to_find_its_words(tmp_path):
    arrays = graphs(60)
    owner, edges = arrays["graph_id"], arrays["edge_index"].T
    rows = [
        {
            "graph": {"edges": (edges[owner[edges[:, 0]] == k] - np.flatnonzero(owner == k)[0]).tolist()},
            "words": f"number {k} is a {kind}",
        }
        for k, kind in enumerate(arrays["label"])
    ]
    settings = {**SMALL, "encoders.words": {"name": "tokens", "width": 32}}
    run = kt.train(rows, steps=20, out=tmp_path / "run", settings=settings)
    assert run.experiment.names == "clip"
    assert number(run, "words>graph R@10") > number(run, "words>graph R@10", "untrained")
