"""Features in files: found again by row, whatever their number of positions; an interrupted writer goes on."""

import numpy as np
import pytest

from kontrast.data.dataset.feature_store import FeatureFiles, KnownFeatures

pytestmark = pytest.mark.quick


def features(rows, positions, *, masked=True, seed=0):
    """Pooled (B, 3), dense (B, P, 2), and a mask with gaps, if any."""
    rng = np.random.default_rng(seed)
    mask = np.arange(positions) < rng.integers(0, positions + 1, (rows, 1))
    mask &= rng.random((rows, positions)) < 0.8
    pooled = rng.standard_normal((rows, 3)).astype(np.float32)
    dense = rng.standard_normal((rows, positions, 2)).astype(np.float32)
    return pooled, dense, mask if masked else None


def test_features_are_found_by_row_and_absent_rows_are_zeros(tmp_path):
    files, parts = FeatureFiles(tmp_path), [features(4, 5), features(3, 9, seed=1)]
    for part in parts:
        files.append(*part)
    order = np.array([8, 2, 5, 0, 9, 1, 3])
    known = KnownFeatures([FeatureFiles(tmp_path)], order, 10)
    found = known.rows(np.array([9, 4, 2]))
    (pooled, dense, mask), other = parts
    np.testing.assert_array_equal(found["pooled"], [other[0][0], np.zeros(3), pooled[1]])
    assert not found["mask"][1].any()
    for row, (wanted, there) in {0: (other[1][0], other[2][0]), 2: (dense[1], mask[1])}.items():
        here = found["mask"][row].numpy()
        assert np.flatnonzero(here).tolist() == np.flatnonzero(there).tolist()
        np.testing.assert_array_equal(found["dense"][row][here], wanted[there])
    assert known.size == files.size > 0


@pytest.mark.parametrize("masked", [False, True])
def test_rows_without_a_mask_have_none_and_all_their_positions(tmp_path, masked):
    pooled, dense, mask = features(4, 5, masked=masked)
    FeatureFiles(tmp_path).append(pooled, dense, mask)
    found = KnownFeatures([FeatureFiles(tmp_path)], np.arange(4), 4).rows(np.arange(4))
    assert ("mask" in found) == masked
    if not masked:
        np.testing.assert_array_equal(found["dense"], dense)


def test_pooled_features_alone_need_no_other_files(tmp_path):
    FeatureFiles(tmp_path).append(features(4, 5)[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pooled.bin", "progress.json"]
    assert list(KnownFeatures([FeatureFiles(tmp_path)], np.arange(4), 4).rows(np.arange(2))) == ["pooled"]


def test_what_a_killed_writer_left_behind_is_cut_off_and_it_goes_on(tmp_path):
    whole, cut = FeatureFiles(tmp_path / "whole"), FeatureFiles(tmp_path / "cut")
    parts = [features(4, 5), features(4, 7, seed=1)]
    for part in parts:
        whole.append(*part)
    cut.append(*parts[0])
    for name in ("pooled", "dense", "mask", "lengths"):
        with (tmp_path / "cut" / f"{name}.bin").open("ab") as file:
            file.write(b"half a part")
    again = FeatureFiles(tmp_path / "cut")
    assert again.done == 4
    again.append(*parts[1])
    for name in ("pooled", "dense", "mask", "lengths"):
        assert (tmp_path / "cut" / f"{name}.bin").read_bytes() == (tmp_path / "whole" / f"{name}.bin").read_bytes()


def test_several_writers_share_the_rows_in_turn(tmp_path):
    pooled, dense, mask = features(7, 5)
    order = np.array([3, 1, 0, 6, 2, 4, 5])
    for rank in range(3):
        FeatureFiles(tmp_path / f"{rank}").append(pooled[rank::3], dense[rank::3], mask[rank::3])
    known = KnownFeatures([FeatureFiles(tmp_path / f"{rank}") for rank in range(3)], order, 7)
    np.testing.assert_array_equal(known.rows(order)["pooled"], pooled)
    np.testing.assert_array_equal(known.rows(order)["mask"].numpy().sum(1), mask.sum(1))
