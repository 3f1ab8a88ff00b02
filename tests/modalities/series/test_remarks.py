"""What series remark on their rows: gaps, channels that tell nothing, and the axis of time."""

from pathlib import Path

import numpy as np
import pytest

from kontrast.data.remark import Rows
from kontrast.modalities.series.series import Series

RNG = np.random.default_rng(0)


def remarks_of(cells):
    series = Series(time_axis="first")
    items = [series.read(cell, Path()) for cell in cells]
    series.fit(items)
    packed = [series.pack(item) for item in items]
    lengths = np.array([len(one) for one in packed])
    return {remark.name: remark for remark in series.remarks(Rows("x", Path(), cells, packed, lengths))}


def test_gaps_are_noted_with_the_longest_and_many_are_a_warning():
    cells = [RNG.normal(size=(50, 2)) for _ in range(4)]
    assert remarks_of(cells).keys() == {"lengths"}
    cells[1][10:31] = np.nan
    found = remarks_of(cells)["missing numbers"]
    assert (found.level, found.numbers["longest"], next(iter(found.rows))) == ("note", 21, 1)
    assert found.numbers["share"] == pytest.approx(21 / 200)
    for cell in cells:
        cell[1:45] = np.nan
    assert remarks_of(cells)["missing numbers"].level == "warning"


def test_more_channels_than_steps_are_no_steps():
    assert remarks_of([RNG.normal(size=(20, 50)) for _ in range(3)])["lengths"].numbers["steps"]["most"] == 20


def test_channels_that_are_empty_or_never_change_are_named():
    cells = [RNG.normal(size=(30, 4)) for _ in range(3)]
    for cell in cells:
        cell[:, 1], cell[:, 3] = 7, np.nan
    cells[0][:, 2] = 1  # changes in the other rows
    found = remarks_of(cells)
    assert found["constant channels"].level == "warning"
    assert found["constant channels"].numbers["channels"] == [1]
    assert found["empty channels"].numbers["channels"] == [3]
    cells[0][:, 1] = 0.5  # differs between rows, but changes in none
    assert remarks_of(cells)["constant channels"].numbers["channels"] == [1]


def test_the_axis_of_time_can_be_said_where_both_axes_are_equal_in_all_rows():
    cells = [RNG.normal(size=(20, 50)) for _ in range(3)]
    for axis, shape in (("auto", (50, 20)), ("first", (20, 50)), ("last", (50, 20))):
        series = Series(time_axis=axis)
        items = [series.read(cell, Path()) for cell in cells]
        series.fit(items)
        assert series.pack(items[0]).shape == shape
