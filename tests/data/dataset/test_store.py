"""Stores of packed rows."""

import numpy as np
import pytest

from kontrast.data.dataset.store import Packed, Writer, opened


def test_a_store_without_rows_or_with_empty_rows_reopens(tmp_path):
    with Writer(tmp_path / "none") as writer:
        writer.append(None)
    assert not Packed(tmp_path / "none").has.any()
    with Writer(tmp_path / "some") as writer:
        for row in (np.zeros((0, 2), np.int16), np.ones((3, 2), np.int16), None):
            writer.append(row)
    first, second = Packed(tmp_path / "some").rows([0, 1])
    assert first.shape == (0, 2)
    assert second.tolist() == [[1, 1]] * 3


def test_a_writer_takes_missing_rows_before_the_first_and_refuses_other_names(tmp_path):
    with Writer(tmp_path / "rows") as writer:
        for row in (None, {"x": np.ones(2), "y": np.zeros((0, 3))}, None, {"x": np.ones(1), "y": np.ones((4, 3))}):
            writer.append(row)
        with pytest.raises(AssertionError, match="pack gave"):
            writer.append({"x": np.ones(2)})
    store = opened(tmp_path / "rows")
    assert store.has.tolist()[:4] == [False, True, False, True]
    assert store.rows([3])[0]["y"].shape == (4, 3)
    assert store.lengths([1, 3]).tolist() == [2, 1]
