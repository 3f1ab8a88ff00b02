"""Whatever the values and however they are chunked: cells, files, stores and splits give back what was put in."""

import string
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kontrast.data.dataset.store import Packed, Writer
from kontrast.data.schema import fingerprint, split
from kontrast.data.schema.fields import infer
from kontrast.data.schema.missing_values import missing
from kontrast.data.sources.open_source import open_frame
from kontrast.data.sources.python_values import frame_of
from kontrast.data.tables.column_reader import read_cells

quick = settings(max_examples=40, deadline=None)
few = settings(max_examples=8, deadline=None)

CELLS = [
    st.text(),
    st.integers(-(2**62), 2**62),
    st.booleans(),
    st.lists(st.floats(width=32)),
    st.lists(st.lists(st.integers(-5, 5), max_size=3), max_size=3),
    st.lists(st.text(max_size=3)),
    st.binary(),
]
COLUMNS = st.one_of([st.lists(st.none() | cell, min_size=1, max_size=30) for cell in CELLS])


def plain(cell):
    if isinstance(cell, np.ndarray | list):
        return [plain(part) for part in cell]
    return cell.item() if isinstance(cell, np.generic) else cell


def same(one, other):
    one, other = plain(one), plain(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    both_nan = isinstance(one, float) and isinstance(other, float) and one != one and other != other
    return both_nan or one == other


@quick
@given(COLUMNS, st.data())
def test_cells_are_what_was_put_in_however_the_column_is_chunked(values, data):
    array = pa.array(values)
    cut = data.draw(st.integers(0, len(values)))
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=10))
    found = read_cells(pa.chunked_array([array.slice(0, cut), array.slice(cut)], array.type), rows)
    assert all(same(cell, values[row]) for cell, row in zip(found, rows, strict=True))


@quick
@given(COLUMNS)
def test_any_column_is_some_field_and_only_missing_cells_are_missing(values):
    (field,) = infer(frame_of({"x": values}, "t"), {}, None).values()
    assert field.why
    for value in values:
        if value is None or (isinstance(value, str) and not value.strip()):
            assert missing(value)
        if isinstance(value, int):
            assert not missing(value)


@quick
@given(COLUMNS)
def test_a_column_hashes_alike_however_it_is_chunked(values):
    array = pa.array(values)
    whole, cut = pa.chunked_array([array]), pa.chunked_array([array.slice(0, 1), array.slice(1)], array.type)
    assert fingerprint.of_column(whole, Path()) == fingerprint.of_column(cut, Path())


@quick
@given(st.lists(st.none() | arrays.arrays(np.int16, st.tuples(st.integers(0, 4), st.just(2))), max_size=12))
def test_a_store_gives_back_every_row_that_was_appended(rows):
    with tempfile.TemporaryDirectory() as folder:
        with Writer(Path(folder) / "s") as writer:
            for row in rows:
                writer.append(row)
        store = Packed(Path(folder) / "s")
        assert store.has.tolist() == [row is not None for row in rows]
        there = np.flatnonzero(store.has)[::-1]
        for found, place in zip(store.rows(there), there, strict=True):
            assert (found == rows[place]).all()
            assert found.shape == rows[place].shape


def is_word(text):
    """Whether no reader of CSV takes a string for a number, as "Infinity" is one."""
    try:
        float(text)
    except ValueError:
        return True
    return False


WORD = st.text(string.ascii_letters + ' ,;"\n\té雪', max_size=8).filter(is_word)
TABLES = st.lists(st.tuples(WORD, st.none() | st.integers(-(10**9), 10**9)), min_size=1, max_size=20)


@few
@given(TABLES)
def test_a_csv_gives_back_the_strings_and_numbers_that_were_written(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        table = pa.table({"w": [w for w, _ in rows], "n": pa.array([n for _, n in rows], pa.int64())})
        arrow_csv.write_csv(table, path)
        frame = open_frame(path, cache=None)
        assert frame.cells("w", range(len(rows))) == [w or None for w, _ in rows]
        assert frame.cells("n", range(len(rows))) == [n for _, n in rows]


@few
@given(COLUMNS)
def test_a_parquet_file_gives_back_its_column_from_the_cache(values):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        pq.write_table(pa.table({"x": pa.array(values)}), path, row_group_size=3)
        frame = open_frame(path, cache=Path(folder) / "cache")
        assert all(same(cell, v) for cell, v in zip(frame.cells("x", range(len(values))), values, strict=True))


@quick
@given(st.lists(st.integers(0, 15), min_size=1, max_size=60))
def test_rows_of_one_content_are_on_one_side(codes):
    content = {"a": np.array(codes)}
    keys = fingerprint.numbers(map(str, range(len(codes))))
    sides = split.together(split.drawn(keys, 0.5, 0), keys, content)
    for code in set(codes):
        group = sides[content["a"] == code]
        if len(group) <= 10:  # more than that is a category and binds nothing
            assert group.all() or not group.any()


@quick
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=10))
def test_a_chain_of_fields_binds_too_and_never_more_than_one_in_a_hundred_of_many(pairs):
    content = {"a": np.array([a for a, _ in pairs]), "b": np.array([b for _, b in pairs])}
    keys = fingerprint.numbers(map(str, range(len(pairs))))
    sides = split.together(split.drawn(keys, 0.5, 0), keys, content)
    assert split.twins(sides, ~sides, content) == 0
    many = {"a": np.arange(2000) // 2, "b": np.arange(1, 2001) // 2}  # one chain through all rows
    keys = fingerprint.numbers(map(str, range(2000)))
    assert 0.3 < split.together(split.drawn(keys, 0.5, 0), keys, many).mean() < 0.7


@quick
@given(st.lists(st.text(min_size=1), min_size=1, max_size=50, unique=True), st.integers(0, 2**31))
def test_a_row_keeps_its_side_whatever_else_is_there(ids, seed):
    keys = fingerprint.numbers(ids)
    assert (keys >= 0).all()
    alone = [bool(split.drawn(keys[i : i + 1], 0.3, seed)[0]) for i in range(len(ids))]
    assert split.drawn(keys, 0.3, seed).tolist() == alone
