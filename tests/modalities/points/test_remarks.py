"""The doctor's remarks on point clouds name what is there, and nothing on sound ones."""

import re
from pathlib import Path

import numpy as np
import pytest

from kontrast.data.remark import Rows
from kontrast.modalities.points.points import Points
from tests.support.clouds import body

pytestmark = pytest.mark.quick


def remarks(cells, **settings):
    modality = Points(**settings)
    items = [modality.read(cell, None) for cell in cells]
    modality.fit(items)
    packed = [modality.pack(item) for item in items]
    found = modality.remarks(Rows("shape", Path(), cells, packed, np.array([len(one) for one in packed])))
    return {remark.name: remark for remark in found}


def changed(row, change):
    cell = body(row)
    change(cell)
    return cell


def lacks(cell):
    cell[:15, 2] = np.nan


def copies(cell):
    cell[75:] = cell[:75]


def flattens(cell):
    cell[:, 1] = 0.5


def strays(cell):
    cell[0] = 100


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (lacks, "points that are not finite", "2 of 12 clouds that were looked at hold points with NaN .* up to 10%"),
        (copies, "copies of points", "in 2 of 12 clouds more than 10% of the points are copies of others, up to 50%"),
        (flattens, "clouds in a plane", "2 of 12 clouds lie in one plane"),
        (strays, "stray points", "2 of 12 clouds have points more than 8 times as far"),
    ],
)
def test_a_problem_is_named_with_its_rows(change, name, words):
    found = remarks([changed(n, change) if n in (3, 7) else body(n) for n in range(12)])
    assert list(found) == [name]
    assert re.search(words, found[name].words)
    assert list(found[name].rows) == [3, 7]
    assert found[name].level == "warning"


def test_small_clouds_are_named_with_what_to_set():
    found = remarks([body(n, points=40 if n == 5 else 150) for n in range(12)])
    assert list(found) == ["small clouds"]
    assert "--set views.shape.points=75" in found["small clouds"].words


def test_sound_clouds_bring_no_remark():
    assert remarks([body(n) for n in range(12)]) == {}
