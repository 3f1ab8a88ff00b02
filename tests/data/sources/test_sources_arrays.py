"""Sources of arrays and of time series: npz, npy, ts and UCR tables."""

import datetime
import pickle

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.errors import UserError
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.data.tables.column_reader import plain, read_cells
from tests.support.opened_sources import opened, write


def test_npz_becomes_rows_with_a_split(tmp_path):
    x = np.random.rand(5, 7).astype(np.float32)
    np.savez(tmp_path / "a.npz", X_train=x[:3], y_train=[0, 1, 0], X_test=x[3:], y_test=[1, 1], classes=["no", "yes"])
    frame, cells = opened(tmp_path / "a.npz")
    assert cells["split"] == ["train"] * 3 + ["test"] * 2
    assert cells["y"] == [0, 1, 0, 1, 1]
    assert (frame.columns["X"] == x).all()
    np.savez(
        tmp_path / "b.npz",
        train_images=x[:3],
        train_labels=np.ones((3, 1), int),
        val_images=x[3:],
        val_labels=[[1], [0]],
    )
    assert opened(tmp_path / "b.npz")[1]["labels"] == [1, 1, 1, 1, 0]


def test_npz_of_unequal_lengths_and_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((3, 2)), y=np.zeros(2))
    with pytest.raises(UserError, match=r"differ in length \(X 3, y 2\)"):
        open_frame(tmp_path / "a.npz", cache=None)
    np.savez(tmp_path / "b.npz", X=np.array([{"a": 1}], dtype=object))
    np.save(tmp_path / "b.npy", np.array([{"a": 1}], dtype=object))
    for name in ("b.npz", "b.npy"):
        with pytest.raises(UserError, match="never loaded"):
            open_frame(tmp_path / name, cache=None)
    (tmp_path / "c.npy").write_bytes(pickle.dumps([1]))
    with pytest.raises(UserError):
        open_frame(tmp_path / "c.npy", cache=None)
    write(tmp_path / "d.npz", "no zip")
    with pytest.raises(UserError):
        open_frame(tmp_path / "d.npz", cache=None)


def test_npy_stays_on_disk(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(3, 4))
    column = open_frame(tmp_path / "a.npy", cache=None).columns["X"]
    assert isinstance(column, np.memmap)


@pytest.mark.parametrize("dtype", ["<f2", ">f2", ">f4", ">i8"])
def test_numbers_of_other_machines_and_halves_are_columns(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.arange(3).astype(dtype))
    frame = open_frame(tmp_path / "a.npy", cache=None)
    assert infer(frame, {}, None)["X"].kind == "meta"
    assert frame.cells("X", np.arange(3)) == [0, 1, 2]


def test_moments_beyond_the_calendar_are_missing_and_spans_without_a_unit_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([0, 2**62], "<M8[s]"))
    frame = open_frame(tmp_path / "a.npy", cache=None)
    assert frame.columns["X"].to_pylist() == frame.cells("X", np.arange(2)) == [datetime.datetime(1970, 1, 1), None]
    np.save(tmp_path / "b.npy", np.array([1, 2], "<m8"))
    with pytest.raises(UserError, match="holds timedelta64"):
        open_frame(tmp_path / "b.npy", cache=None)


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "Asia/Tokyo")),
        *(pa.date32(), pa.date64()),
    ],
)
def test_every_moment_of_a_column_is_one_that_python_can_say(kind):
    known = [datetime.datetime(1700, 1, 1), None, datetime.datetime(2200, 12, 31)]
    wide = 2**30 if kind == pa.date32() else 86_400_000 * 10**9 if kind == pa.date64() else 2**62
    raw = pa.array([wide, -wide], kind)
    column = plain(pa.chunked_array([pa.array(known, pa.timestamp("us")).cast(kind), raw]))
    first, nothing, last, *rest = column.to_pylist()
    assert (first.year, nothing, last.year) == (1700, None, 2200)
    assert all(moment is None or 1 <= moment.year <= 9999 for moment in rest)
    if str(kind).endswith("[us]"):
        ends = [datetime.datetime.min, datetime.datetime.max]
        assert plain(pa.chunked_array([pa.array(ends, kind)])).to_pylist() == ends


def test_a_record_with_a_moment_beyond_the_calendar_is_missing():
    moments = pa.StructArray.from_arrays([pa.array([0, 2**62], pa.timestamp("s"))], ["when"])
    cells = read_cells(pa.chunked_array([moments]), [0, 1])
    assert cells == [{"when": datetime.datetime(1970, 1, 1)}, None]


TS = """# words
@problemName demo
@timeStamps false
@univariate {univariate}
@classLabel true a b
@data
{data}
"""


def test_ts_univariate_multivariate_unequal_and_gaps(tmp_path):
    _, cells = opened(write(tmp_path / "a.ts", TS.format(univariate="true", data="1,2,?:a\n4,5,6:b")))
    assert np.array_equal(cells["series"], [[1, 2, np.nan], [4, 5, 6]], equal_nan=True)
    assert cells["label"] == ["a", "b"]
    _, cells = opened(write(tmp_path / "b.ts", TS.format(univariate="false", data="1,2:3,4:a\n5,6,7:8,9,1:b")))
    assert [s.tolist() for s in cells["series"]] == [[[1, 2], [3, 4]], [[5, 6, 7], [8, 9, 1]]]


def test_ts_refusals(tmp_path):
    text = TS.format(univariate="true", data="1,2:a\n1,x:b")
    with pytest.raises(UserError, match="line 8: "):
        open_frame(write(tmp_path / "a.ts", text), cache=None)
    with pytest.raises(UserError, match="2 channels where the first row has 1"):
        open_frame(write(tmp_path / "b.ts", text.replace("x:b", "3:4:b")), cache=None)
    with pytest.raises(UserError, match="time stamp"):
        open_frame(write(tmp_path / "c.ts", text.replace("@timeStamps false", "@timeStamps true")), cache=None)
    with pytest.raises(UserError, match="no line @data"):
        open_frame(write(tmp_path / "d.ts", "@problemName x\n"), cache=None)


@pytest.mark.parametrize("suffix", ["ts", "tsv"])
def test_train_and_test_files_open_by_folder_and_by_stem(tmp_path, suffix):
    lines = {"ts": TS.format(univariate="true", data="1,2,3:7"), "tsv": "7\t1\t2\t3\n"}
    for part in ("TRAIN", "TEST"):
        write(tmp_path / f"Demo_{part}.{suffix}", lines[suffix])
    for data in (tmp_path, tmp_path / "Demo", str(tmp_path / "Demo")):
        frame, cells = opened(data)
        assert cells["split"] == ["test", "train"]
        assert cells["label"] == ["7", "7"]
        assert [c.tolist() for c in cells["series"]] == [[1, 2, 3]] * 2
        assert frame.name == "Demo"
    write(tmp_path / f"Other_TRAIN.{suffix}", lines[suffix])
    with pytest.raises(UserError, match="holds 2 data sets"):
        open_frame(tmp_path, cache=None)


def test_ucr_tables_drop_padding_and_tidy_labels(tmp_path):
    path = write(tmp_path / "a.txt", "  1.0000000e+00  1.5  2.5  NaN\n -1 3 NaN 5\n")
    _, cells = opened(path)
    assert cells["label"] == ["1", "-1"]
    assert cells["series"][0].tolist() == [1.5, 2.5]
    assert np.array_equal(cells["series"][1], [3, np.nan, 5], equal_nan=True)


def test_series_in_other_formats_are_refused_with_what_is_read(tmp_path):
    for name in ("BasicMotions_TRAIN.arff", "traffic.tsf"):
        path = write(tmp_path / name, "@relation x\n@data\n1,2,3\n")
        with pytest.raises(UserError, match=r"ARFF or TSF.*the same sets as \.ts"):
            open_frame(path, cache=None)
    stamped = write(tmp_path / "a.ts", "@timeStamps true\n@classLabel true a\n@data\n(0,1.5),(1,2.5):a\n")
    with pytest.raises(UserError, match=r"time stamp with every value.*@timeStamps false"):
        open_frame(stamped, cache=None)
