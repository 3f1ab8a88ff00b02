"""Small files that claim or hold enormous things: refused in words or set aside, in bounded memory and soon."""

import gzip
import io
import json
import os
import resource
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import kontrast
from kontrast.core import available_memory
from kontrast.core.errors import Unreadable, UserError
from kontrast.core.experiment import Experiment
from kontrast.data.sources import csv, jsonl, ts
from kontrast.data.sources.open_source import open_frame
from kontrast.data.tables import numpy_file
from kontrast.modalities.image.picture import MEGAPIXELS, picture
from tests.support.settings import FAST

pytestmark = pytest.mark.slow

MOST = 1_500_000_000  # bytes beyond what the process has


@pytest.fixture(autouse=True)
def bounded():
    """No test of this file may take more memory; it would end as MemoryError, which no reader catches."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    have = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (have + MOST, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def refused(path, message):
    with pytest.raises(UserError, match=message):
        open_frame(path, cache=None)


def header(shape, kind="<f4", columns_first=False):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": kind, "fortran_order": columns_first, "shape": shape})
    return out.getvalue()


# ---- arrays


@pytest.mark.parametrize("shape", [(10**12,), (10**9, 10**9), (2**62, 4), (0, 10**15, 3), (-1,)])
def test_an_array_is_not_believed_beyond_its_file(tmp_path, shape):
    content = header(shape) + b"\0" * 64
    (tmp_path / "x.npy").write_bytes(content)
    refused(tmp_path / "x.npy", r"x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as made:
        made.writestr("X.npy", content)
    refused(tmp_path / "x.npz", r"x.npz")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    zeros = header((10_000_000,)) + b"\0" * 40_000_000
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        made.writestr("X.npy", zeros)
    assert len(open_frame(tmp_path / "x.npz", cache=None)) == 10_000_000  # small enough to be taken for data
    assert numpy_file.LARGE <= 1_000_000_000
    monkeypatch.setattr(numpy_file, "LARGE", 30_000_000)
    refused(tmp_path / "x.npz", r"unpacks to 40 MB.*savez")


def test_a_zip_whose_directory_understates_a_member_is_refused(tmp_path):
    content = header((1000,)) + b"\0" * 4000
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("X.npy", content)
    raw = bytearray((tmp_path / "x.npz").read_bytes())
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = struct.pack("<I", 200)
    (tmp_path / "x.npz").write_bytes(bytes(raw))
    refused(tmp_path / "x.npz", r"x.npz.*(holds 200 B|no readable)")


def test_arrays_that_do_not_fit_into_memory_are_refused_with_what_to_do(tmp_path, monkeypatch):
    np.savez(tmp_path / "x.npz", X=np.zeros((100, 100)))
    assert len(numpy_file.archive(tmp_path / "x.npz")["X"]) == 100
    monkeypatch.setattr(available_memory, "free", lambda: 10_000)
    refused(tmp_path / "x.npz", r"needs 80.1 kB of memory, and 10 kB are free. Save its arrays as .npy")


# ---- pictures


def png(side, other):
    """All of it black: a few kB."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    line = b"\0" + b"\0" * ((side + 7) // 8)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(line) for _ in range(min(other, 30_000))) + packer.flush()
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, other, 1, 0, 0, 0, 0))
    return start + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def patched(form, mode="L"):
    """A picture of that format whose header claims 60,000 x 60,000."""
    out = io.BytesIO()
    Image.new(mode, (33, 34)).save(out, form)
    data = out.getvalue()
    old = {"GIF": struct.pack("<HH", 33, 34), "BMP": struct.pack("<ii", 33, 34), "JPEG": struct.pack(">HH", 34, 33)}
    new = {"GIF": struct.pack("<HH", 60000, 60000), "BMP": struct.pack("<ii", 60000, 60000)}
    new["JPEG"] = struct.pack(">HH", 60000, 60000)
    if form == "TIFF":
        order = "<" if data[:2] == b"II" else ">"
        for tag in (256, 257):
            for kind in (3, 4):
                entry = struct.pack(f"{order}HHI", tag, kind, 1)
                at = data.find(entry)
                if at >= 0:
                    bytes_ = (
                        struct.pack(f"{order}I", 60000) if kind == 4 or order == "<" else struct.pack(">HH", 60000, 0)
                    )
                    data = data[: at + 8] + bytes_ + data[at + 12 :]
        return data
    assert old[form] in data
    return data.replace(old[form], new[form])


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: png(30_000, 30_000), id="png"),
        pytest.param(lambda: png(9_000, 9_000), id="png, 81 megapixels, for which Pillow does not even warn"),
        *(pytest.param(lambda form=form: patched(form), id=form) for form in ("GIF", "BMP", "JPEG", "TIFF")),
    ],
)
def test_a_picture_that_claims_too_many_pixels_is_unreadable_before_one_is_decoded(made):
    data = made()
    assert len(data) < 300_000
    with pytest.raises(Unreadable, match=r"megapixels|damaged"):
        picture(data, Path())


def test_the_largest_picture_that_is_taken_fits_into_memory():
    side = int((MEGAPIXELS * 1_000_000) ** 0.5)
    assert picture(png(side, side), Path()).shape == (1, side, side)


def test_a_png_of_enormous_words_is_unreadable():
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    words = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 80_000_000, 1))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
    with pytest.raises(Unreadable):
        picture(start + words + chunk(b"IDAT", zlib.compress(b"\0" * 90)) + chunk(b"IEND", b""), Path())


def test_bombs_among_pictures_are_set_aside_and_listed(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(12):
        Image.new("RGB", (16, 16), (20 * n, 0, 255 - 20 * n)).save(folder / f"{n:02d}.png")
    (folder / "bomb.png").write_bytes(png(30_000, 30_000))
    with pytest.raises(UserError, match=r"'bomb.png'\), image: announces more than 64 megapixels"):
        kontrast.train(folder, steps=2, settings=FAST, out=tmp_path / "no", device="cpu")
    settings = {**FAST, "source.quarantine": 0.1}
    run = kontrast.train(folder, steps=2, settings=settings, out=tmp_path / "run", device="cpu")
    assert "bomb.png" in (run.path / "quarantine.csv").read_text()


def test_a_pipe_and_a_device_are_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(Unreadable, match="a device or a pipe"):
        picture("pipe.png", tmp_path)
    with pytest.raises(Unreadable, match="a device or a pipe"):
        picture("/dev/zero", tmp_path)
    with (tmp_path / "long.png").open("wb") as file:
        file.truncate(10**12)  # takes no room on the disk
    with pytest.raises(Unreadable, match="a file of 1,000,000,000,000 bytes"):
        picture("long.png", tmp_path)


# ---- tables of text


def test_one_enormous_cell_and_one_enormous_header_of_a_csv(tmp_path):
    with (tmp_path / "cell.csv").open("w") as file:
        file.write("text,n\n")
        for _ in range(60):
            file.write("x" * 1_000_000)
        file.write(",1\n")
    refused(tmp_path / "cell.csv", r"cell.csv")
    with (tmp_path / "head.csv").open("w") as file:
        for _ in range(40):
            file.write("x" * 1_000_000)
        file.write("\n1\n")
    refused(tmp_path / "head.csv", r"longer than 16,000,000 characters|field larger")


def test_too_many_columns_are_refused(tmp_path):
    (tmp_path / "x.csv").write_text(",".join(f"c{n}" for n in range(200_000)) + "\n" + "1," * 199_999 + "1\n")
    refused(tmp_path / "x.csv", r"200,000 columns; expected at most 100,000")


@pytest.mark.parametrize("name", ["x.csv.gz", "x.jsonl.gz", "x.json.gz"])
def test_gzip_bombs_are_read_line_by_line(tmp_path, monkeypatch, name):
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 8_000_000)
    monkeypatch.setattr(jsonl, "LONGEST_LIST", 30_000_000)
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        for _ in range(60):
            file.write(b" " * 1_000_000)
    assert (tmp_path / name).stat().st_size < 400_000
    refused(tmp_path / name, r"longer than|field larger")


def test_an_enormous_line_of_json_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 1_000_000)
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"text": "' + "x" * 3_000_000 + '"}\n')
    refused(tmp_path / "x.jsonl", r"line 2 is longer than 1,000,000 characters")


def test_the_limits_are_what_memory_bears():
    assert jsonl.LONGEST_LINE <= 100_000_000
    assert jsonl.LONGEST_LIST <= 1_000_000_000
    assert csv.BLOCK <= 100_000_000
    assert ts.PADDED <= 10_000_000


@pytest.mark.parametrize("nest", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_json_nested_deeply_is_refused_everywhere(tmp_path, nest):
    for name, content in {"x.jsonl": f'{{"a": {nest}}}', "x.json": nest, "y.json": f'{{"mix": {nest}}}'}.items():
        (tmp_path / name).write_text(content)
        refused(tmp_path / name, r"nested too deeply|not JSON")
    with pytest.raises(UserError, match=r"nested too deeply|not JSON"):
        Experiment.from_json(nest)
    with tarfile.open(tmp_path / "x.tar", "w") as made:
        member = tarfile.TarInfo("a.json")
        member.size = len(nest)
        made.addfile(member, io.BytesIO(nest.encode()))
    refused(tmp_path / "x.tar", r"a.json' cannot be read")


def test_a_number_of_ten_thousand_digits_is_refused(tmp_path):
    digits = "9" * 10_000
    (tmp_path / "x.jsonl").write_text(f'{{"a": {digits}}}\n')
    refused(tmp_path / "x.jsonl", r"line 1.*digits")
    with pytest.raises(UserError, match="digits"):
        Experiment.from_json(f'{{"seed": {digits}}}')


def test_a_huge_file_of_a_run_is_refused_unread(tmp_path):
    from kontrast.runs.folder.folder import Folder

    with (tmp_path / "experiment.json").open("wb") as file:
        file.truncate(10**11)
    with pytest.raises(UserError, match=r"takes 100,000,000,000 bytes"):
        Folder(tmp_path).experiment()
    (tmp_path / "mix.json").write_text('{"mix": [')
    with (tmp_path / "mix.json").open("r+b") as file:
        file.truncate(10**11)
    refused(tmp_path / "mix.json", r"takes 100,000,000,000 bytes")


def test_channels_that_would_be_filled_up_a_million_fold_are_refused(tmp_path):
    line = ",".join(["1"] * 100_000) + ":1" * 100_000
    (tmp_path / "x.ts").write_text(f"@data\n{line}\n{line}\n")
    refused(tmp_path / "x.ts", r"100,001 channels, of which one has 100,000 values")


# ---- tables of Arrow


def test_a_damaged_offset_of_arrow_points_nowhere(tmp_path):
    made = pa.table({"text": ["abc", "def", "ghi"]})
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as out, pa.ipc.new_file(out, made.schema) as writer:
        writer.write_table(made)
    raw = (tmp_path / "x.arrow").read_bytes()
    offsets = struct.pack("<iiii", 0, 3, 6, 9)
    assert offsets in raw
    for bad in ((0, 3, 6, 2**31 - 1), (0, 2**30, 6, 9), (-5, 3, 6, 9)):
        (tmp_path / "x.arrow").write_bytes(raw.replace(offsets, struct.pack("<iiii", *bad)))
        refused(tmp_path / "x.arrow", r"damaged")


def test_parquet_of_absurd_row_groups_is_refused_or_read_in_bounds(tmp_path):
    pq.write_table(pa.table({"text": ["a", "b"] * 100, "n": range(200)}), tmp_path / "x.parquet", row_group_size=1)
    assert len(open_frame(tmp_path / "x.parquet", cache=None)) == 200
    raw = (tmp_path / "x.parquet").read_bytes()
    ends = [raw[:-8] + struct.pack("<I", size) + b"PAR1" for size in (0, 1, 2**31 - 1, 2**32 - 1)]
    for content in ends:
        (tmp_path / "x.parquet").write_bytes(content)
        refused(tmp_path / "x.parquet", r"x.parquet")


# ---- run folders


def test_a_checkpoint_that_claims_much_is_refused(tmp_path):
    from kontrast.runs.folder.folder import load_tensors

    said = json.dumps({"w": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}).encode()
    for content in (struct.pack("<Q", len(said)) + said, struct.pack("<Q", 2**60) + said):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as safetensors"):
            load_tensors(tmp_path / "x.safetensors")
