"""No pickle is ever loaded from data: one that would leave a mark is put into every source."""

import io
import json
import pickle
import tarfile
import tempfile
from pathlib import Path

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from kontrast.core import factory, registry
from kontrast.core.errors import UserError
from kontrast.data.sources.open_source import open_frame
from tests.support.planting import MARK, Evil, pickled, torch_saved, unmarked
from tests.support.sounds import encoded, tone


@pytest.fixture(autouse=True)
def _unmarked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with unmarked():
        yield


def test_the_mark_works():
    pickle.loads(pickled())
    assert MARK.exists()
    MARK.unlink()
    torch.load(io.BytesIO(torch_saved()), weights_only=False)
    assert MARK.exists()
    MARK.unlink()


# ---- data


def rows_of(path):
    """Opened, and its pictures, texts and series read: a value, or a refusal in words."""
    from kontrast.core.experiment import Source
    from kontrast.data.dataset.dataset import prepare
    from kontrast.data.schema.fields import infer

    frame = open_frame(path, cache=(aside := Path(tempfile.mkdtemp())) / "cache")
    fields = infer(frame, {}, None)
    read = ("image", "text", "series", "video")
    kinds = {n: factory.build("modalities", f.kind, {}) for n, f in fields.items() if f.kind in read}
    return prepare(frame, fields, kinds, source=Source(quarantine=1), seed=0, cache=aside / "packed", fit=True)


def objects():
    return np.array([Evil(), Evil()], dtype=object)


def npy(to):
    np.save(to / "x.npy", objects(), allow_pickle=True)


def npz(to):
    np.savez(to / "x.npz", X=objects())


def mixed(to):
    npy(to)
    (to / "a.csv").write_text("text\na\nb\n")
    (to / "x.json").write_text('{"mix": [{"data": "a.csv"}, {"data": "x.npy"}]}')
    (to / "x.npy").rename(to / "hidden.npy")
    (to / "x.json").write_text('{"mix": [{"data": "a.csv"}, {"data": "hidden.npy"}]}')


def table(cells=None):
    """Words of pandas in the metadata, and an extension type of Python's in the schema."""
    kind = pa.array(cells or [pickled(), pickled()], pa.binary())
    marks = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickled()}
    field = pa.field("text", pa.binary(), metadata=marks)
    said = {"index_columns": [], "columns": [], "pandas_version": "2", "pickle": pickled().decode("latin1")}
    return pa.Table.from_arrays([kind], schema=pa.schema([field], metadata={"pandas": json.dumps(said)}))


def parquet(to):
    pq.write_table(table(), to / "x.parquet")


def arrow(to):
    with pa.OSFile(str(to / "x.arrow"), "wb") as out, pa.ipc.new_file(out, table().schema) as writer:
        writer.write_table(table())


def tar_shards(to):
    with tarfile.open(to / "x.tar", "w") as made:
        for name in ("a.pkl", "a.pyd", "a.pickle", "a.pth", "a.npy", "a.txt"):
            content = b"words" if name == "a.txt" else pickled()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))


def images(to):
    for name in "abc":
        Image.new("RGB", (9, 9), (ord(name), 0, 0)).save(to / f"{name}.png")
    (to / "d.png").write_bytes(pickled())
    (to / "e.pkl").write_bytes(pickled())


def frames(to):
    for name in "abc":
        (to / name).mkdir()
        for t in range(3):
            Image.new("RGB", (9, 9), (ord(name), 9 * t, 0)).save(to / name / f"{t}.png")
    (to / "d").mkdir()
    (to / "d" / "0.png").write_bytes(pickled())


def sounds(to):
    for name in "abc":
        (to / f"{name}.wav").write_bytes(encoded(tone(ord(name))))
    (to / "d.wav").write_bytes(pickled())
    (to / "e.pkl").write_bytes(pickled())


def graph_files(to):
    for name in "abc":
        nx.write_graphml(nx.path_graph(3), to / f"{name}.graphml")
    (to / "d.graphml").write_bytes(pickled())


def graph_archive(to):
    np.savez(to / "x.npz", edge_index=np.array([[0, 1], [1, 0]], dtype=object), graph_id=np.array([0, 0]))


def tu(to):
    (to / "rings_A.txt").write_bytes(pickled())
    (to / "rings_graph_indicator.txt").write_bytes(pickled())


def clouds(to):
    for name in "abc":
        (to / f"{name}.xyz").write_text("0 0 0\n1 0 2\n0 1 1\n1 1 5\n")
    (to / "d.npy").write_bytes(pickled())
    (to / "e.ply").write_bytes(pickled())


def texts(to):
    for name in "abc":
        (to / f"{name}.txt").write_text(f"words of {name}")
    (to / "d.txt").write_bytes(pickled())
    (to / "e.pkl").write_bytes(pickled())


def hub_dataset(to):
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(str(to))
    for file in to.iterdir():
        if file.suffix == ".arrow":
            file.write_bytes(pickled())


def plain(name):
    """A file of nothing but a pickle, under that name."""

    def planted(to):
        (to / name).write_bytes(pickled())

    return planted


# source -> what is planted for it. A new source must say here how a pickle could reach it.
PLANTED = {
    "npy": [npy, plain("x.npy")],
    "npz": [npz, plain("x.npz")],
    "mixed": [mixed, plain("x.json")],
    "parquet": [parquet, plain("x.parquet")],
    "arrow": [arrow, plain("x.arrow"), plain("x.feather")],
    "tar_shards": [tar_shards, plain("x.tar")],
    "images": [images],
    "sounds": [sounds],
    "clouds": [clouds],
    "frames": [frames],
    "graph_files": [graph_files],
    "graph_archive": [graph_archive],
    "tu": [tu],
    "sdf": [plain("x.sdf")],
    "texts": [texts],
    "hub_dataset": [hub_dataset],
    "csv": [plain("x.csv"), plain("x.csv.gz")],
    "jsonl": [plain("x.jsonl"), plain("x.json"), plain("x.jsonl.gz")],
    "ts": [plain("x.ts")],
    "ucr": [plain("x.tsv"), plain("x.txt")],
    "folder": [plain("train.csv"), plain("metadata.jsonl")],
    "sqlite": [plain("x.db")],
    "duck_db": [plain("x.duckdb")],
}
# What is handed over in Python, or answered by a server, is no file.
NO_FILES = {"arrow_table", "data_frame", "numpy_array", "polars_frame", "python_columns", "python_rows", "postgresql"}


def test_every_source_is_covered():
    assert set(registry.kinds("sources")) == set(PLANTED) | NO_FILES


@pytest.mark.parametrize(("source", "at"), [(name, at) for name, ways in PLANTED.items() for at in range(len(ways))])
def test_no_source_loads_a_pickle(tmp_path, source, at):
    folder = tmp_path / "data"
    folder.mkdir()
    PLANTED[source][at](folder)
    files = [file for file in folder.iterdir() if file.stem in ("x", "train")]
    data = files[0] if len(files) == 1 else folder
    data = {"sqlite": f"sqlite:{data}#t", "duck_db": f"duckdb:{data}#t", "frames": f"frames:{data}"}.get(source, data)
    try:
        read = rows_of(data)
    except UserError as refused:
        assert "\n" not in str(refused)  # noqa: PT017 - or it is read without the pickle
    else:  # the other rows are read, and the pickle is set aside or passed over
        aside = {"images": ["d.png"], "frames": ["d"], "sounds": ["d.wav"], "clouds": ["e.ply"]}
        aside |= {"graph_files": ["d.graphml"]}
        assert source in (*aside, "texts", "tar_shards", "parquet", "arrow")
        assert source not in aside or [name for _, name, *_ in read.quarantined] == aside[source]


@pytest.mark.parametrize("protocol", range(6))
def test_no_picture_is_a_pickle(protocol):
    from kontrast.core.errors import Unreadable
    from kontrast.modalities.image.picture import picture

    with pytest.raises(Unreadable):
        picture(pickle.dumps(Evil(), protocol=protocol), Path())
