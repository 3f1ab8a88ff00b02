"""Records of several columns: what a frame gets, what it lacks, and how missing cells read."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from kontrast.core.choice import Choice
from kontrast.data.schema.missing_values import missing
from kontrast.data.tables.frame import Frame
from kontrast.data.tables.record import own, read_by, single, with_records


def frame(**columns):
    made = {n: c if isinstance(c, np.ndarray) else pa.chunked_array([pa.array(c)]) for n, c in columns.items()}
    return Frame(made, "rows", Path())


def views(*columns):
    return {"table": Choice("table", {"columns": list(columns)}), "text": Choice("text")}


def test_a_view_of_several_columns_is_a_column_of_records():
    found = with_records(frame(a=[1, 2, None], b=["x", None, None], c=[1, 2, 3]), views("a", "b"))
    assert found.cells("table", [0, 1, 2]) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": None, "b": None}]
    assert missing(found.cells("table", [2])[0])
    assert list(found.columns) == ["a", "b", "c", "table"]
    assert read_by(views("a", "b")) == {"a", "b"}


def test_columns_that_a_frame_lacks_are_missing_and_without_any_there_is_no_record():
    found = with_records(frame(a=[1, 2]), views("a", "gone"))
    assert found.cells("table", [1]) == [{"a": 2, "gone": None}]
    assert "table" not in with_records(frame(z=[1]), views("a", "gone")).columns


def test_columns_of_other_chunks_and_types_lie_side_by_side():
    long = pa.chunked_array([pa.array([1, 2]), pa.array([3])])
    coded = pa.chunked_array([pa.array(["u", "v", "u"]).dictionary_encode()])
    pictures = np.empty(3, object)
    found = with_records(Frame({"a": long, "b": coded, "c": pictures}, "rows", Path()), views("a", "b", "c"))
    assert found.cells("table", [2]) == [{"a": 3, "b": "u", "c": None}]


def test_records_of_the_data_itself_stay_as_they_are():
    given = frame(table=[{"a": 1}, {"a": 2}], a=[7, 8])
    assert own(given, "table")
    assert with_records(given, views("a")).cells("table", [0]) == [{"a": 1}]


def test_single_values_are_told_from_lists_records_bytes_and_arrays():
    given = frame(n=[1], s=["x"], t=[True], many=[[1, 2]], record=[{"a": 1}], raw=[b"x"], array=np.zeros((1, 3)))
    assert [name for name in given.columns if single(given.columns[name])] == ["n", "s", "t"]
