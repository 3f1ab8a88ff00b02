"""Several sources as one, texts in folders, polars, names on the hub; a source opened again resumes exactly."""

import io
import json
import signal
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kontrast.core.errors import Interrupted, UserError
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame

pytestmark = pytest.mark.slow


def opened(data, cache=None):
    frame = open_frame(data, cache=cache)
    return frame, {name: frame.cells(name, range(len(frame))) for name in frame.columns}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8")
    return path


def picture(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), shade).save(path)


def mixed(folder, **said):
    return write(folder / "mix.json", json.dumps(said))


def test_a_mix_puts_rows_under_each_other_and_says_source_id_and_weight(tmp_path):
    write(tmp_path / "a.csv", "id,text\nx,one\ny,two\n")
    write(tmp_path / "b/rows.jsonl", '{"text": "three", "n": 1}\n')
    data = mixed(tmp_path, mix=[{"data": "a.csv", "weight": 2}, {"data": "b"}])
    frame, cells = opened(data)
    assert cells["text"] == ["one", "two", "three"]
    assert cells["n"] == [None, None, 1]
    assert cells["mix source"] == ["a.csv", "a.csv", "b"]
    assert cells["mix id"] == ["a.csv/x", "a.csv/y", "b/0"]
    assert cells["mix weight"] == [2, 2, 1]
    kinds = {name: field.kind for name, field in infer(frame, {}, None).items()}
    assert (kinds["mix id"], kinds["mix weight"], kinds["mix source"]) == ("id", "weight", "meta")
    data = mixed(tmp_path, mix=[{"data": "a.csv"}, {"data": "a.csv"}])
    _, cells = opened(data)
    assert "mix weight" not in cells
    assert cells["mix id"] == ["a.csv 1/x", "a.csv 1/y", "a.csv 2/x", "a.csv 2/y"]


def test_pictures_of_several_folders_are_still_found(tmp_path):
    for shade, name in enumerate(("one/1.png", "one/2.png", "two/deep/1.png", "two/deep/3.png")):
        picture(tmp_path / name, shade)
    write(tmp_path / "two/table.csv", "file,caption\ndeep/1.png,a first\ndeep/3.png,a third\n")
    write(tmp_path / "set/x", "")
    where = write(tmp_path / "set/mix.json", json.dumps({"mix": [{"data": "../one"}, {"data": "../two/table.csv"}]}))
    frame, cells = opened(where)
    assert all((frame.folder / name).is_file() for name in cells["image"][:2] + cells["file"][2:])
    where = mixed(tmp_path, mix=[{"data": "one"}, {"data": "two/table.csv"}])
    assert opened(where)[1]["image"] == ["one/1.png", "one/2.png", None, None]
    assert opened(where)[1]["file"][2:] == ["two/deep/1.png", "two/deep/3.png"]


def test_a_join_puts_rows_of_one_key_side_by_side(tmp_path):
    write(tmp_path / "a.csv", "sku,text\n3,three\n1,one\n,none\n7,seven\n")
    write(
        tmp_path / "b.jsonl", '{"sku": 1, "v": [1, 2, 3, 4]}\n{"sku": 9, "v": [9]}\n{"sku": 3, "v": [3], "text": "x"}\n'
    )
    parts = [{"data": "a.csv"}, {"data": "b.jsonl"}]
    for cache in (None, tmp_path / "cache"):
        _, cells = opened(mixed(tmp_path, join=parts, on="sku", how="outer"), cache)
        assert cells["sku"] == [3, 1, None, 7, 9]
        assert cells["text"] == ["three", "one", "none", "seven", None]
        assert [v if v is None else v.tolist() for v in cells["v"]] == [[3], [1, 2, 3, 4], None, None, [9]]
        assert cells["text (b.jsonl)"] == ["x", None, None, None, None]
        _, cells = opened(mixed(tmp_path, join=parts, on="sku", how="inner"), cache)
        assert cells["sku"] == [3, 1]


def test_a_join_takes_keys_of_other_names_and_kinds_and_three_sources(tmp_path):
    write(tmp_path / "a.csv", "sku,text\n1,one\n2,two\n")
    write(tmp_path / "b.jsonl", '{"code": "1", "n": 5}\n{"code": "1", "n": 6}\n')
    np.savez(tmp_path / "c.npz", X=np.arange(20.0).reshape(2, 10), key=np.array([2, 8]))
    parts = [{"data": name} for name in ("a.csv", "b.jsonl", "c.npz")]
    _, cells = opened(mixed(tmp_path, join=parts, on=["sku", "code", "key"]))
    assert cells["sku"] == ["1", "1", "2", "8"]
    assert cells["n"] == [5, 6, None, None]
    assert [x is None or x.tolist() for x in cells["X"]] == [True, True, list(range(10)), list(range(10, 20))]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"mix": [{"data": "a.csv"}]}, "expected a list of two or more"),
        ({"mix": [{"data": "a.csv"}, {"dat": "a.csv"}]}, r"mix\[1\] has no setting 'dat'; did you mean 'data'"),
        ({"mix": [{"data": "a.csv"}, {"data": 3}]}, "expected its path or address"),
        ({"mix": [{"data": "a.csv", "weight": 0}, {"data": "a.csv"}]}, "has the weight 0; expected a number above 0"),
        ({"mix": [{"data": "a.csv"}, {"data": "none.csv"}]}, "none.csv does not exist"),
        ({"join": [{"data": "a.csv"}, {"data": "a.csv"}]}, "on=None; expected a column's name"),
        ({"join": [{"data": "a.csv"}, {"data": "a.csv"}], "on": "sk"}, "has no column 'sk'; did you mean 'sku'"),
        ({"join": [{"data": "a.csv"}, {"data": "a.csv"}], "on": "sku", "how": "left"}, "expected 'inner' or 'outer'"),
        ({"join": [{"data": "a.csv"}, {"data": "a.csv"}], "on": "sku"}, "the key repeats both in a.csv"),
    ],
)
def test_what_cannot_be_mixed_says_why(tmp_path, said, message):
    write(tmp_path / "a.csv", "sku,text\n1,one\n1,two\n")
    with pytest.raises(UserError, match=message):
        open_frame(mixed(tmp_path, **said), cache=None)


def test_a_json_list_is_still_a_table(tmp_path):
    assert opened(write(tmp_path / "a.json", '[{"mix": 1}]'))[1] == {"mix": [1]}


def test_text_files_are_rows_and_subfolders_their_labels(tmp_path):
    for name in ("train/good/b.txt", "train/bad/a.txt", "test/good/c.md", ".hidden.txt"):
        write(tmp_path / name, f"words of {name}\nmore")
    frame, cells = opened(tmp_path, tmp_path.parent / "cache")
    assert cells["text"] == [f"words of {name}\nmore" for name in cells["filename"]]
    assert cells["filename"] == ["test/good/c.md", "train/bad/a.txt", "train/good/b.txt"]
    assert (cells["split"], cells["label"]) == (["test", "train", "train"], ["good", "bad", "good"])
    kinds = {name: field.kind for name, field in infer(frame, {}, None).items()}
    assert kinds == {"text": "text", "filename": "id", "split": "split", "label": "label"}
    write(tmp_path / "train/bad/a.txt", "other words")
    assert "other words" in opened(tmp_path, tmp_path.parent / "cache")[1]["text"]


def test_a_text_file_that_is_not_utf8_is_named_and_a_readme_makes_no_folder_of_texts(tmp_path):
    write(tmp_path / "a/1.txt", "x")
    (tmp_path / "a/2.txt").write_bytes("José".encode("latin1"))
    with pytest.raises(UserError, match=r"2.txt is not UTF-8.*iconv"):
        open_frame(tmp_path / "a", cache=None)
    for name in ("one.csv", "two.csv", "three.csv", "README.md"):
        write(tmp_path / "b" / name, "a\n1\n")
    with pytest.raises(UserError, match="holds nothing that a source reads"):
        open_frame(tmp_path / "b", cache=None)


def test_polars_frames_open_and_lazy_ones_are_computed_into_the_cache(tmp_path):
    pl = pytest.importorskip("polars")
    data = pl.DataFrame(
        {
            "t": ["a", None, "c"],
            "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "v": [[1.0, 2.0], [3.0], None],
            "f": pl.Series([[1, 2], [3, 4], [5, 6]], dtype=pl.Array(pl.Int64, 2)),
        }
    )
    for given in (data, data.lazy()):
        for cache in (None, tmp_path / "cache"):
            _, cells = opened(given, cache)
            assert (cells["t"], cells["c"]) == (["a", None, "c"], ["x", "y", "x"])
            assert [v if v is None else v.tolist() for v in cells["v"]] == [[1, 2], [3], None]
            assert [v.tolist() for v in cells["f"]] == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(UserError, match='LazyFrame cannot be computed: unable to find column "absent"'):
        open_frame(data.lazy().select("absent"), cache=None)


def test_a_name_on_the_hub_opens_with_its_split(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    write(tmp_path / "reviews/train.csv", "text,label\ngood one,1\nbad one,0\n")
    write(tmp_path / "reviews/test.csv", "text,label\nfine,1\n")
    monkeypatch.chdir(tmp_path)
    _, cells = opened("hf:./reviews")
    assert cells["text"] == ["fine", "good one", "bad one"] or cells["text"] == ["good one", "bad one", "fine"]
    assert sorted(cells["split"]) == ["test", "train", "train"]
    assert opened("hf:./reviews@test")[1]["text"] == ["fine"]
    with pytest.raises(UserError, match=r"hf:./reviews@other: .*Check the name"):
        open_frame("hf:./reviews@other", cache=None)
    with pytest.raises(UserError, match="names no dataset"):
        open_frame("hf:", cache=None)


def test_an_unreachable_hub_says_what_to_do(monkeypatch):
    import datasets

    def unreachable(*args, **kwargs):
        raise ConnectionError("Couldn't reach 'someone/reviews' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(UserError, match=r"hf:someone/reviews@train: Couldn't reach .*saved by save_to_disk"):
        open_frame("hf:someone/reviews@train", cache=None)


def _parquet(folder, texts):
    pq.write_table(pa.table({"id": list(range(len(texts))), "text": texts}), folder / "a.parquet", row_group_size=50)
    return folder / "a.parquet"


def _shards(folder, texts):
    half = len(texts) // 2
    for number, part in enumerate((texts[:half], texts[half:])):
        with tarfile.open(folder / f"s-{number}.tar", "w") as tar:
            for i, text in enumerate(part):
                info = tarfile.TarInfo(f"{number * half + i:04d}.txt")
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
    return folder / "s-{0..1}.tar"


def _query(folder, texts):
    pytest.importorskip("adbc_driver_sqlite")
    import sqlite3

    with sqlite3.connect(folder / "a.db") as database:
        database.execute("DROP TABLE IF EXISTS t")
        database.execute("CREATE TABLE t (id INTEGER, text TEXT)")
        database.executemany("INSERT INTO t VALUES (?, ?)", enumerate(texts))
    database.close()
    return f"sqlite:{folder / 'a.db'}#SELECT * FROM t ORDER BY id"


@pytest.mark.parametrize("made", [_parquet, _shards, _query])
def test_a_source_opened_again_resumes_bit_for_bit_and_changed_rows_are_refused(tmp_path, made):
    import kontrast
    from kontrast.reporting.logger import NullLogger

    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["red", "blue", "shoe", "hat", "old", "new", "big"], 6)) + f" {i}" for i in range(160)]
    data = made(tmp_path, texts)
    settings = {"plan.batch": 32, "plan.precision": "32", "plan.channels_last": "off", "plan.compile": "off"}
    whole = kontrast.train(data, steps=6, settings=settings, out=tmp_path / "whole", device="cpu")

    class Stop(NullLogger):
        """Ends the run after its first step."""

        def fact(self, name, words):
            if name == "contrast":
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        kontrast.train(data, steps=6, settings=settings, out=tmp_path / "cut", device="cpu", logger=Stop())
    made(tmp_path, [*texts[:-1], "another text altogether"])
    with pytest.raises(UserError, match="has changed since"):
        kontrast.resume(tmp_path / "cut", device="cpu")
    made(tmp_path, texts)
    resumed = kontrast.resume(tmp_path / "cut", device="cpu")
    one, two = whole.embeddings("trained-test").whole(), resumed.embeddings("trained-test").whole()
    assert one.tobytes() == two.tobytes()
