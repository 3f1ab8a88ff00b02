"""Rows of several ragged arrays by name, and a modality that draws what it reads of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from kontrast.core.experiment import Source
from kontrast.data.dataset.dataset import prepare
from kontrast.data.dataset.reader import Moment, Reader
from kontrast.data.modality import Modality
from kontrast.data.schema.fields import Field
from kontrast.data.tables.frame import Frame


class Walks(Modality):
    """A fake modality: a cell n is a ring of n nodes; a batch shows two neighbours of a random node of each ring."""

    axes = "B2"
    draws = True

    def read(self, cell, folder):
        return int(cell)

    def fit(self, items):
        self.largest = max(items)

    def pack(self, item):
        nodes = np.arange(item, dtype=np.float32)[:, None] * [[1, 10]]
        edges = np.stack([np.arange(item), (np.arange(item) + 1) % item], 1)
        return {"nodes": nodes.astype(np.float32), "edges": edges.astype(np.int64)}

    def collate(self, packed):
        return torch.tensor([[row["nodes"][:, 0].sum(), len(row["edges"])] for row in packed])

    def batch(self, store, index, streams):
        if streams is None:
            return super().batch(store, index, None)
        rows = store.rows(index)
        at = [int(u) % len(row["edges"]) for u, row in zip(streams.view_B.abs(), rows, strict=True)]
        return torch.from_numpy(np.stack([row["edges"][k] for k, row in zip(at, rows, strict=True)]))

    preprocess = augment = raw = show = look = recognise = dimensions = examples = collate

    def facts(self):
        return {"largest": self.largest}

    def state(self):
        return {"largest": self.largest}

    def restore(self, state):
        self.largest = state["largest"]


@pytest.fixture(params=[None, 0])
def dataset(request, tmp_path):
    sizes = [3, 5, None, 4, 9, 7, 3]
    frame = Frame({"ring": pa.chunked_array([pa.array(sizes)]), "n": pa.chunked_array([range(7)])}, "t", Path())
    fields, walks = {"ring": Field("walks", ""), "n": Field("id", "")}, Walks()
    source = Source(held_out=0.0, quarantine=0.5)
    data = prepare(frame, fields, {"ring": walks}, source=source, seed=0, cache=tmp_path, fit=True, limit=request.param)
    return data, walks


def test_they_are_packed_once_and_read_again(dataset):
    data, walks = dataset
    assert walks.largest == 9
    assert len(data) == 6
    rows = data.stores["ring"].rows([3, 0])
    assert [row["nodes"].shape for row in rows] == [(9, 2), (3, 2)]
    np.testing.assert_array_equal(rows[1]["edges"], [[0, 1], [1, 2], [2, 0]])
    content = data.content["ring"]
    assert content[0] == content[5]
    assert len(set(content.tolist())) == 5


def test_a_batch_draws_by_seed_epoch_and_row_and_not_at_all_when_embedding(dataset):
    data, walks = dataset
    reader = Reader(data, {"ring": walks}, ())
    index = np.array([4, 1, 3])
    one = reader.read(index, Moment(0, 0, 0)).views["ring"].data
    assert torch.equal(one, reader.read(index, Moment(0, 0, 5)).views["ring"].data)
    assert torch.equal(one[1:], reader.read(index[1:], Moment(0, 0, 0)).views["ring"].data)
    drawn = {tuple(reader.read(index, Moment(0, e, 0)).views["ring"].data.flatten().tolist()) for e in range(6)}
    assert len(drawn) > 3
    assert all((a + 1) % n == b for (a, b), n in zip(one.tolist(), (7, 5, 9), strict=True))
    assert reader.read(index).views["ring"].data[:, 1].tolist() == [7, 5, 9]
