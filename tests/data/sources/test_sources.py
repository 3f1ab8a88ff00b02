"""Anything a user points at becomes a Frame, and what cannot is refused in words."""

import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kontrast.core.errors import UserError
from kontrast.data.sources.open_source import open_frame, readers
from kontrast.data.tables.column_reader import read_cells
from tests.support.opened_sources import opened, write


def picture(path, shade=0, size=4):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (size, size), shade).save(path)


def test_a_flat_folder_of_images_has_no_label(tmp_path):
    for name in ("b.png", "a.JPG", "deep/c.webp", ".hidden.png", "notes.md", "__MACOSX/x.png"):
        picture(tmp_path / name) if name != "notes.md" else write(tmp_path / name, "")
    assert opened(tmp_path)[1] == {"image": ["a.JPG", "b.png", "deep/c.webp"]}


def test_subfolders_of_images_are_labels(tmp_path):
    for name in ("cat/1.png", "cat/more/2.png", "dog/1.png"):
        picture(tmp_path / name)
    assert opened(tmp_path)[1]["label"] == ["cat", "cat", "dog"]


def test_train_and_test_folders_are_a_split(tmp_path):
    for name in ("train/cat/1.png", "train/dog/1.png", "Test/cat/1.png", "valid/dog/1.png"):
        picture(tmp_path / name)
    _, cells = opened(tmp_path)
    assert cells["split"] == ["test", "train", "train", "validation"]
    assert cells["label"] == ["cat", "cat", "dog", "dog"]


def test_a_link_back_up_ends(tmp_path):
    picture(tmp_path / "in/a.png")
    os.symlink(tmp_path, tmp_path / "in/loop")
    assert len(open_frame(tmp_path, cache=None)) == 1


def test_csv_knows_numbers_and_strings_and_guesses_no_missing_words(tmp_path):
    path = write(tmp_path / "a.csv", 'n,f,code,word\n1,1.5,007,NA\n,2,12,null\n3,-1e3,1,""\n')
    assert opened(path)[1] == {
        "n": [1, None, 3],
        "f": [1.5, 2.0, -1000.0],
        "code": ["007", "12", "1"],
        "word": ["NA", "null", None],
    }


@pytest.mark.quick
def test_csv_takes_quotes_newlines_semicolons_tabs_byte_marks_and_gzip(tmp_path):
    (tmp_path / "a.csv").write_bytes('\ufeffa;b\n"x;\ny";1\n'.encode())
    assert opened(tmp_path / "a.csv")[1] == {"a": ["x;\ny"], "b": [1]}
    assert opened(write(tmp_path / "a.tsv", "a\tb\nx, y\t1\n"))[1] == {"a": ["x, y"], "b": [1]}
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"a,b\nx,1\n"))
    assert opened(tmp_path / "b.csv.gz")[1] == {"a": ["x"], "b": [1]}


def test_a_number_column_that_turns_to_words_late_is_words(tmp_path, monkeypatch):
    monkeypatch.setattr("kontrast.data.sources.csv.BLOCK", 1000)
    path = write(tmp_path / "a.csv", "a,b\n" + "1,x\n" * 3000 + "word,x\n")
    frame = open_frame(path, cache=tmp_path / "cache")
    assert frame.columns["a"].num_chunks > 10
    assert frame.cells("a", [0, 3000]) == ["1", "word"]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2.5\n3,4\n", "has no header: its first line is data"),
        ("picture.png,cat\nother.png,dog\n", "has no header"),
        ("", "is empty"),
        ("a,b\n", "has no rows"),
        ("a,a\n1,2\n", "names 'a' twice"),
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 cells where the header has 2"),
        ('a,b\n"1\n",2\n1\n', "line 4: 1 cells where the header has 2"),
    ],
)
def test_csv_refusals_name_the_place(tmp_path, text, message):
    picture(tmp_path / "picture.png")
    with pytest.raises(UserError, match=message):
        open_frame(write(tmp_path / "a.csv", text), cache=None)


def test_text_that_is_not_utf8_says_how_to_convert(tmp_path):
    (tmp_path / "a.csv").write_bytes("name,n\nJosé,1\n".encode("latin1"))
    with pytest.raises(UserError, match=r"not UTF-8.*iconv"):
        open_frame(tmp_path / "a.csv", cache=None)
    (tmp_path / "a.jsonl").write_bytes('{"a": "José"}\n'.encode("latin1"))
    with pytest.raises(UserError, match="not UTF-8"):
        open_frame(tmp_path / "a.jsonl", cache=None)


@pytest.mark.quick
def test_jsonl_unites_keys_and_numbers(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"t": "x", "v": [1, 2]}\n\n{"t": "y", "n": 1}\n{"n": 1.5, "v": [0.5]}\n')
    _, cells = opened(path)
    assert cells["t"] == ["x", "y", None]
    assert cells["n"] == [None, 1.0, 1.5]
    assert [None if v is None else v.tolist() for v in cells["v"]] == [[1, 2], None, [0.5]]
    assert opened(write(tmp_path / "a.json", '[{"a": 1}, {"a": 2}]'))[1] == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": \n', "line 2: not JSON"),
        ('{"a": 1}\n[1]\n', "line 2: lists, not an object"),
        ('{"a": 1}\n{"a": "x"}\n', "line 2: 'a' holds strings, but numbers in line 1"),
        ("\n", "has no rows"),
    ],
)
def test_jsonl_refusals_name_the_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        open_frame(write(tmp_path / "a.jsonl", text), cache=None)


@pytest.mark.quick
def test_parquet_file_folder_and_parts(tmp_path):
    table = pa.table({"a": [1, 2], "kind": pa.array(["x", "y"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "one.parquet")
    assert opened(tmp_path / "one.parquet", tmp_path / "cache")[1] == {"a": [1, 2], "kind": ["x", "y"]}
    (tmp_path / "data").mkdir()
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        pq.write_table(table, tmp_path / "data" / f"{name}.parquet")
    assert opened(tmp_path / "data")[1]["split"] == ["test"] * 2 + ["train"] * 4
    write(tmp_path / "bad.parquet", "no")
    with pytest.raises(UserError, match="no readable Parquet file"):
        open_frame(tmp_path / "bad.parquet", cache=None)


def test_arrow_files_streams_and_compressed_feather(tmp_path):
    table = pa.table({"a": [1, 2]})
    with pa.ipc.new_file(str(tmp_path / "f.arrow"), table.schema) as file:
        file.write_table(table)
    with pa.ipc.new_stream(str(tmp_path / "s.arrow"), table.schema) as stream:
        stream.write_table(table)
    with pa.ipc.new_file(
        str(tmp_path / "c.feather"), table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
    ) as file:
        file.write_table(table)
    for name in ("f.arrow", "s.arrow", "c.feather"):
        assert opened(tmp_path / name, tmp_path / "cache")[1] == {"a": [1, 2]}


def test_a_table_file_is_rewritten_once_and_again_when_it_changes(tmp_path):
    cache = tmp_path / "cache"
    path = write(tmp_path / "a.csv", "a\n1\n")
    for _ in range(2):
        open_frame(path, cache=cache)
        assert len(list(cache.rglob("*.arrow"))) == 1
    write(path, "a\n1\n2\n")
    assert opened(path, cache)[1] == {"a": [1, 2]}


def test_cells_of_a_mapped_column_do_not_pull_in_the_rest(tmp_path):
    table = pa.table({"a": pa.array([np.random.bytes(1000) for _ in range(20_000)])})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1000)
    del table
    frame = open_frame(tmp_path / "a.parquet", cache=tmp_path / "cache")
    before = pa.total_allocated_bytes()
    assert frame.cells("a", [19_999, 0, 5])[0] != frame.cells("a", [0])[0]
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_train_csv_and_test_csv_in_a_folder_are_a_split(tmp_path):
    write(tmp_path / "train.csv", "text,label\nx,1\ny,2\n")
    write(tmp_path / "test.csv", "text,label\nz,1.5\n")
    assert opened(tmp_path)[1] == {"text": ["z", "x", "y"], "label": [1.5, 1, 2], "split": ["test", "train", "train"]}


def test_a_metadata_table_beside_pictures_is_what_is_opened(tmp_path):
    picture(tmp_path / "images/1.png")
    write(tmp_path / "metadata.csv", "file,caption\nimages/1.png,one\n")
    frame, cells = opened(tmp_path)
    assert cells["caption"] == ["one"]
    assert frame.folder == tmp_path


def test_python_objects_open(tmp_path):
    import pandas
    import torch

    texts, x = ["a", "b", "c"], np.random.rand(3, 5)
    same = [
        {"text": texts, "x": x},
        {"text": tuple(texts), "x": torch.from_numpy(x)},
        {"text": np.array(texts), "x": list(x)},
        {"text": pa.array(texts), "x": x.tolist()},
        pa.table({"text": texts, "x": x.tolist()}),
        pandas.DataFrame({"text": texts, "x": list(x)}),
        [{"text": t, "x": v} for t, v in zip(texts, x, strict=True)],
        [{"text": t, "x": v.tolist()} for t, v in zip(texts, x, strict=True)],
    ]
    for data in same:
        _, cells = opened(data)
        assert cells["text"] == texts
        assert np.allclose(np.stack(cells["x"]), x)
    for data in (x, torch.from_numpy(x), list(x)):
        assert np.allclose(np.stack(opened(data)[1]["X"]), x)
    assert opened(texts)[1] == {"X": texts}


def test_pandas_gaps_and_categories(tmp_path):
    import pandas

    data = pandas.DataFrame(
        {"t": ["a", None, float("nan")], "c": pandas.Categorical(["x", "y", "x"]), "n": [1, None, 3]}
    )
    assert opened(data)[1] == {"t": ["a", None, None], "c": ["x", "y", "x"], "n": [1, None, 3]}


def test_pictures_and_arrays_of_differing_shape_stay_objects():
    shades = [Image.new("L", (2, 3)), None]
    arrays = [np.zeros((2, 3, 3), np.uint8), np.zeros((4, 3, 3), np.uint8)]
    _, cells = opened({"pil": shades, "array": arrays})
    assert cells["pil"] == shades
    assert [a.shape for a in cells["array"]] == [(2, 3, 3), (4, 3, 3)]


def test_a_hub_dataset_keeps_images_encoded_and_names_classes(tmp_path):
    import datasets

    data = io.BytesIO()
    Image.new("RGB", (2, 2)).save(data, "PNG")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes"])})
    rows = {"image": [{"bytes": data.getvalue(), "path": None}] * 3, "label": [1, 0, -1]}
    made = datasets.Dataset.from_dict(rows, features=features)
    _, cells = opened(made.select([2, 0]))
    assert cells["label"] == [None, "yes"]
    assert cells["image"][0]["bytes"] == data.getvalue()
    both = datasets.DatasetDict({"train": made, "validation": made})
    assert opened(both)[1]["split"] == ["train"] * 3 + ["validation"] * 3
    both.save_to_disk(str(tmp_path / "saved"))
    assert opened(tmp_path / "saved")[1]["label"] == ["yes", "no", None] * 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": [1, 2], "b": [1]}, r"differ in length \(a 2, b 1\)"),
        ({"a": "text"}, "is one str"),
        ({"a": [1, "x"]}, "holds numbers, but strings in row 1"),
        ({}, "empty dict"),
        ([], "empty list"),
        ([{"a": 1}, 2], "mixes dicts with int"),
        (np.zeros((0, 3)), "has no rows"),
        (3, "data is a int, which no source reads"),
        ("https://example.org/a.csv", "is an address"),
        ("no/such/path", "does not exist"),
    ],
)
def test_what_cannot_be_rows_is_refused_in_words(data, message):
    with pytest.raises(UserError, match=message):
        open_frame(data, cache=None)


def test_empty_folder_and_unknown_suffix_say_what_is_expected(tmp_path):
    with pytest.raises(UserError, match=r"it is empty.*a folder of images"):
        open_frame(tmp_path, cache=None)
    with pytest.raises(UserError, match=r"suffix '.xlsx'\); expected .*CSV"):
        open_frame(write(tmp_path / "a.xlsx", "x"), cache=None)


@pytest.mark.quick
def test_every_source_says_what_it_reads_and_claims_nothing_strange():
    found = readers()
    assert len(found) >= 16
    assert [r.order for r in found] == sorted(r.order for r in found)
    for reader in found:
        assert reader.reads
        for data in (object(), Path("/no/such/place"), None, 1.5):
            assert not reader.claims(data)


def test_lists_come_back_as_arrays_with_nan_for_null():
    column = pa.chunked_array([[[1, 2], None], [[3, None], []]], pa.list_(pa.int64()))
    first, second, third, fourth = read_cells(column, [3, 2, 1, 0])
    assert first.size == 0
    assert np.array_equal(second, [3, np.nan], equal_nan=True)
    assert third is None
    assert fourth.tolist() == [1, 2]
    nested = read_cells(pa.chunked_array([[[[1, 2], [3, 4]], [[1], [2, 3]]]]), [0, 1])
    assert nested[0].tolist() == [[1, 2], [3, 4]]
    assert [part.tolist() for part in nested[1]] == [[1], [2, 3]]


def test_json_is_not_needed_twice(tmp_path):
    rows = [{"a": i} for i in range(12_000)]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    frame = open_frame(path, cache=tmp_path / "cache")
    assert frame.cells("a", [11_999]) == [11_999]
    assert frame.columns["a"].num_chunks == 3
