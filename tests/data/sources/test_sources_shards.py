"""Tar shards of WebDataset become rows; what could harm is refused."""

import gzip
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from kontrast.core.errors import UserError
from kontrast.data.schema.fields import infer
from kontrast.data.sources import tar_shards
from kontrast.data.sources.open_source import open_frame


def opened(data, cache=None):
    frame = open_frame(data, cache=cache)
    return frame, {name: frame.cells(name, range(len(frame))) for name in frame.columns}


def png(shade):
    out = io.BytesIO()
    Image.new("L", (4, 4), shade).save(out, "PNG")
    return out.getvalue()


def shard(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            data = data.encode() if isinstance(data, str) else data
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def rows(first, count):
    for i in range(first, first + count):
        yield from (
            (f"in/{i:04d}.png", png(i)),
            (f"in/{i:04d}.txt", f"picture number {i}\n"),
            (f"in/{i:04d}.cls", str(i % 3)),
        )
        yield f"in/{i:04d}.json", json.dumps({"size": i / 2, "by": "me" if i % 2 else None})


def test_members_of_one_key_are_a_row(tmp_path):
    frame, cells = opened(shard(tmp_path / "a.tar", rows(0, 3)), tmp_path / "cache")
    assert cells == {
        "key": ["in/0000", "in/0001", "in/0002"],
        "image": [png(0), png(1), png(2)],
        "text": ["picture number 0", "picture number 1", "picture number 2"],
        "label": ["0", "1", "2"],
        "size": [0, 0.5, 1],
        "by": [None, "me", None],
    }
    kinds = {name: field.kind for name, field in infer(frame, {}, None).items()}
    assert (kinds["key"], kinds["image"], kinds["text"]) == ("id", "image", "text")


def test_a_pattern_and_a_folder_open_all_shards(tmp_path):
    for n in range(3):
        shard(tmp_path / f"shards-{n:03d}.tar", rows(10 * n, 10))
    for data in (tmp_path / "shards-{000..002}.tar", str(tmp_path / "shards-{000..002}.tar"), tmp_path):
        assert opened(data)[1]["text"] == [f"picture number {i}" for i in range(30)]
    assert len(open_frame(tmp_path / "shards-{001..002}.tar", cache=None)) == 20
    with pytest.raises(UserError, match=r"shards-003.tar does not exist.*stands for 4 files"):
        open_frame(tmp_path / "shards-{000..003}.tar", cache=None)


def test_train_and_test_shards_are_a_split(tmp_path):
    shard(tmp_path / "train-0.tar", rows(0, 2))
    shard(tmp_path / "test-0.tar", rows(5, 1))
    _, cells = opened(tmp_path)
    assert dict(zip(cells["key"], cells["split"], strict=True)) == {
        "in/0000": "train",
        "in/0001": "train",
        "in/0005": "test",
    }


def test_arrays_named_members_and_missing_ones(tmp_path):
    out = io.BytesIO()
    np.save(out, np.arange(5.0))
    members = [("1.left.png", png(1)), ("1.npy", out.getvalue()), ("1.mp3", b"sound"), ("2.left.PNG", png(2))]
    members += [("dir/.hidden.png", b""), ("3.caption.txt", "words")]
    _, cells = opened(shard(tmp_path / "a.tar", members))
    assert cells["left"] == [png(1), png(2), None]
    assert cells["array"][0].tolist() == [0, 1, 2, 3, 4]
    assert cells["caption"] == [None, None, "words"]
    assert set(cells) == {"key", "left", "array", "caption"}


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt"])
def test_a_name_that_points_out_of_the_archive_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"points out of the archive"):
        open_frame(shard(tmp_path / "a.tar", [("1.txt", "x"), (name, "y")]), cache=tmp_path / "cache")
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("1.txt")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(UserError, match="is a link or a device"):
        open_frame(tmp_path / "a.tar", cache=None)


def test_a_member_larger_than_the_limit_and_a_compressed_archive_are_refused(tmp_path, monkeypatch):
    path = shard(tmp_path / "a.tar", [("1.txt", "x" * 2000)])
    (tmp_path / "b.tar").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match="gunzip it first"):
        open_frame(tmp_path / "b.tar", cache=None)
    monkeypatch.setattr(tar_shards, "LARGEST", 1000)
    with pytest.raises(UserError, match="takes 2 kB; at most 1 kB"):
        open_frame(path, cache=None)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("1.txt", "a"), ("1.text.txt", "b")], "has 'text' twice"),
        ([("1.json", "{")], r"'1.json' cannot be read"),
        ([("1.json", "[" * 100_000)], r"'1.json' cannot be read"),
        ([("1.npy", b"\x93NUMPY")], r"'1.npy' cannot be read"),
        ([("1.txt", b"\xff\xfe")], r"'1.txt' cannot be read"),
        ([("1.json", '{"a": 1}'), ("2.json", '{"a": "x"}')], "'a' differs in kind"),
        ([("1.mp3", b"x")], "has no rows"),
    ],
)
def test_broken_members_are_named(tmp_path, members, message):
    with pytest.raises(UserError, match=message):
        open_frame(shard(tmp_path / "a.tar", members), cache=None)


def test_a_shard_that_was_cut_off_is_told(tmp_path):
    path = shard(tmp_path / "a.tar", rows(0, 50))
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(UserError, match=r"a.tar.*(copy it again|unexpected end)"):
        open_frame(path, cache=None)


def test_pickled_arrays_are_never_loaded(tmp_path):
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"'1.npy' cannot be read"):
        open_frame(shard(tmp_path / "a.tar", [("1.npy", out.getvalue())]), cache=None)
