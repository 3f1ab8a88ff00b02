"""The series modality: what is read and refused, which axis is time, gaps, lengths, views, baseline, picture."""

import json
import math
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch

from kontrast.core import factory, random_streams
from kontrast.core.errors import Unreadable, UserError
from kontrast.modalities.series.series import Series
from tests.support.places import ROOT

pytestmark = pytest.mark.quick

NAN = math.nan
DATA = Path(os.environ.get("KONTRAST_DATA", ROOT.parent / "shared" / "data"))


def fitted(cells, **settings):
    series = Series(**settings)
    items = [series.read(cell, Path()) for cell in cells]
    series.fit(items)
    return series, series.collate([series.pack(item) for item in items])


@pytest.fixture
def uneven():
    """Three rows of two channels, 40, 25 and 33 long, with a gap in the first."""
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=(length, 2)).cumsum(0) + 5 for length in (40, 25, 33)]
    rows[0][10:14] = np.nan
    return fitted(rows)


def keys(n, epoch=0):
    return random_streams.key(0, epoch, torch.arange(n), 0)


@pytest.mark.parametrize(
    "cell", [[1, 2.5, None], (1, 2), np.arange(3), [[1, None], [2, 3]], np.ones((2, 5), np.int16), [True, False]]
)
def test_numbers_are_read_as_float32(cell):
    assert Series().read(cell, Path()).dtype == np.float32


def test_none_is_a_gap():
    assert np.isnan(Series().read([1, None, 3], Path())).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1 2 3", "list of numbers"),
        (b"12", "list of numbers"),
        ({"a": 1}, "list of numbers"),
        (["1", "2"], "no number"),
        ([None, "2"], "no number"),
        ([1, {}], "no number"),
        ([[1, 2], [3]], "differ in length"),
        ([[1, 2], None], "differ in length"),
        ([], "empty"),
        ([[]], "empty"),
        (3.5, "0 axes"),
        (np.ones((2, 2, 2)), "3 axes"),
        ([1, math.inf], "infinite"),
        ([1e300, 1.0], "infinite"),
        ([None, None], "only gaps"),
        ([NAN], "only gaps"),
    ],
)
def test_what_is_no_series_is_refused_with_its_reason(cell, reason):
    with pytest.raises(Unreadable, match=reason):
        Series().read(cell, Path())


@pytest.mark.parametrize(
    ("shapes", "channels", "longest"),
    [
        ([(9,), (7,)], 1, 9),
        ([(9, 2), (7, 2)], 2, 9),
        ([(2, 9), (2, 7)], 2, 9),
        ([(6, 100), (6, 100)], 6, 100),
        ([(100, 6), (100, 6)], 6, 100),
        ([(5, 9), (5, 3), (5, 2)], 5, 9),
        ([(9, 1), (9,)], 1, 9),
    ],
)
def test_channels_are_the_axis_that_never_changes_or_the_smaller(shapes, channels, longest):
    _, batch = fitted([np.random.default_rng(0).normal(size=shape) for shape in shapes])
    assert batch.shape == (len(shapes), channels, longest)


def test_both_orientations_give_the_same_batch():
    rows = [np.random.default_rng(i).normal(size=(20 + i, 3)) for i in range(3)]
    assert torch.equal(fitted(rows)[1].nan_to_num(9), fitted([row.T for row in rows])[1].nan_to_num(9))


def test_a_row_with_other_channels_is_refused_when_packed():
    series, _ = fitted([np.ones((9, 2)), np.ones((8, 2)), np.ones((7, 2))])
    with pytest.raises(Unreadable, match="3 channels where the training rows have 2"):
        series.pack(series.read(np.ones((9, 3)), Path()))


def test_padding_at_the_end_is_no_length_but_gaps_inside_are():
    series, batch = fitted([[None, 1, None, 2, None, None], [1, 2]])
    assert batch.shape == (2, 1, 4)
    assert batch[0, 0].isnan().tolist() == [True, False, True, False]
    assert series.facts() == {"channels": 2, "length": 4}


def test_longer_rows_are_averaged_down_over_what_is_known():
    series, batch = fitted([[1, 3, 5, None, None, None, 2, 4]], length=4)
    torch.testing.assert_close(batch[0, 0], torch.tensor([2.0, 5.0, NAN, 3.0]), equal_nan=True)
    assert len(series.pack(np.arange(1001, dtype=np.float32))) == 4


def test_no_row_is_longer_than_512_unless_the_user_says_so():
    assert fitted([np.arange(2000)])[1].shape == (1, 1, 512)
    assert fitted([np.arange(2000)], length=1500)[1].shape == (1, 1, 1500)


def test_both_shows_the_shape_and_the_level():
    series, batch = fitted([[0, 1, 0, 1], [10, 12, 10, 12]])
    shape, level = series.preprocess(batch).unbind(1)
    torch.testing.assert_close(shape[0], shape[1])
    torch.testing.assert_close(shape[0], torch.tensor([-1.0, 1, -1, 1]))
    assert (level[1] > 0).all()
    assert (level[0] < 0).all()


@pytest.mark.parametrize("normalise", ["both", "series", "dataset", "none"])
def test_normalising_keeps_gaps_and_does_not_look_at_other_rows(uneven, normalise):
    series, batch = uneven
    series.normalise = normalise
    whole = series.preprocess(batch)
    assert whole.shape[1] == series.facts()["channels"]
    assert torch.equal(whole.isnan()[:, :2], batch.isnan())
    torch.testing.assert_close(series.preprocess(batch[1:2, :, :25]), whole[1:2, :, :25])


def test_a_flat_row_stays_flat():
    series, batch = fitted([[5, 5, 5.0001], [0, 9, 1], [3, 1, 8]])
    assert series.preprocess(batch)[0, 0].abs().max() < 0.01


def test_rounding_errors_of_flat_rows_are_no_shape():
    series, batch = fitted([[7.1] * 50, [300.3] * 50, [-0.7] * 50])
    assert series.preprocess(batch)[:, 0].abs().max() < 0.05


def test_a_set_of_one_constant_is_finite():
    series, batch = fitted([[7, 7, 7], [7, 7, 7]])
    for seen in (series.preprocess(batch), series.augment(batch, keys(2)), series.raw(batch)):
        assert seen.nan_to_num(0).isfinite().all()


def test_a_row_is_augmented_the_same_alone_and_in_any_batch(uneven):
    series, batch = uneven
    together = series.augment(batch, keys(3))
    alone = series.augment(batch[1:2, :, :25], keys(3)[1:2])
    torch.testing.assert_close(alone, together[1:2, :, :25], equal_nan=True)
    assert together[1, :, 25:].isnan().all()


def test_another_key_is_another_augmentation(uneven):
    series, batch = uneven
    one, two = (series.augment(batch, keys(3, epoch)) for epoch in (0, 1))
    assert not torch.allclose(one.nan_to_num(0), two.nan_to_num(0))


def test_augmentation_leaves_every_row_something(uneven):
    series, batch = uneven
    for epoch in range(50):
        seen = series.augment(batch, keys(3, epoch)).isfinite().any(1)
        assert (seen.sum(1) >= 5).all()


def test_augmentation_switched_off_is_preprocessing(uneven):
    _, batch = uneven
    still = Series(crop=1, stretch=0, warp=0, scale=0, shift=0, noise=0, gaps=0)
    still.restore(uneven[0].state())
    torch.testing.assert_close(still.augment(batch, keys(3)), still.preprocess(batch), equal_nan=True)


def test_a_window_is_a_piece_of_the_row_in_order():
    series, batch = fitted([np.arange(100.0)], normalise="none", scale=0, shift=0, noise=0, gaps=0, warp=0.5)
    for epoch in range(30):
        seen = series.augment(batch, keys(1, epoch))[0, 0]
        seen = seen[seen.isfinite()]
        assert (seen.diff() > 0).all()
        assert seen[0] == seen[0].round()
        assert seen.min() >= 0
        assert seen.max() <= 99
        assert 44 <= len(seen) <= 100


def test_hidden_spans_are_at_most_the_share_asked_for():
    series, batch = fitted([np.arange(200.0)], crop=1, stretch=0, warp=0, gaps=0.4)
    hidden = [series.augment(batch, keys(1, epoch))[0, 0].isnan().float().mean().item() for epoch in range(50)]
    assert max(hidden) <= 0.4
    assert np.mean(hidden) > 0.1


def test_noise_has_the_strength_asked_for():
    series, batch = fitted(
        [np.sin(np.arange(5000.0))], length=5000, crop=1, stretch=0, warp=0, scale=0, shift=0, gaps=0, noise=0.3
    )
    series.normalise = "none"
    ratio = (series.augment(batch, keys(1)) - batch).std() / batch.std()
    assert ratio.item() == pytest.approx(0.3, abs=0.02)


def test_raw_of_full_rows_is_their_z_normalisation():
    rows = np.random.default_rng(0).normal(3, 2, size=(4, 60))
    series, batch = fitted(list(rows))
    expected = (rows - rows.mean(1, keepdims=True)) / rows.std(1, keepdims=True)
    np.testing.assert_allclose(series.raw(batch).numpy(), expected, atol=1e-4)


def test_raw_bridges_gaps_by_straight_lines_and_ignores_padding():
    series, batch = fitted([[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, None, None, None, 5, 6, 7]])
    one, two = series.raw(batch)
    torch.testing.assert_close(one, two)
    wider = torch.nn.functional.pad(batch, (0, 9), value=NAN)
    torch.testing.assert_close(series.raw(wider), series.raw(batch))


def test_raw_has_one_width_for_all_lengths(uneven):
    series, batch = uneven
    assert series.raw(batch).shape == (3, 2 * 40)
    assert series.raw(batch[1:2, :, :25]).shape == (1, 2 * 40)
    assert fitted([np.arange(400)])[0].raw(torch.randn(2, 1, 400)).shape == (2, 128)


def test_the_sparkline_is_well_formed_and_breaks_at_gaps(uneven):
    series, _ = uneven
    picture = series.show(series.pack(np.array([[1, 2], [2, 2], [NAN, 2], [3, 2], [4, 2]], np.float32)))
    paths = ElementTree.fromstring(picture).findall("{http://www.w3.org/2000/svg}path")
    assert [path.get("d").count("M") for path in paths] == [2, 1]
    assert len({path.get("stroke") for path in paths}) == 2
    assert "nan" not in picture


def test_the_sparkline_of_six_long_channels_stays_small():
    series, _ = fitted([np.random.default_rng(0).normal(size=(500, 6))])
    picture = series.show(np.ones((500, 6), np.float32))
    assert len(picture) < 10_000
    assert picture.count("<path") == 4


def test_state_goes_through_json_and_back(uneven):
    series, batch = uneven
    other = Series()
    other.restore(json.loads(json.dumps(series.state())))
    torch.testing.assert_close(other.preprocess(batch), series.preprocess(batch), equal_nan=True)
    assert other.facts() == series.facts()


@pytest.mark.parametrize(
    "settings", [{"length": 0}, {"crop": 0.0}, {"crop": 1.5}, {"gaps": 1.0}, {"noise": -1.0}, {"warp": 1.0}]
)
def test_nonsense_is_refused_in_words(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        Series(**settings)


def test_no_readable_row_is_said_so():
    with pytest.raises(UserError, match="no row"):
        Series().fit([])


def test_it_is_found_by_name_and_its_settings_are_checked():
    assert isinstance(factory.build("modalities", "series", {"length": 30, "normalise": "series"}), Series)
    with pytest.raises(UserError, match="normalise"):
        factory.build("modalities", "series", {"normalise": "rows"})


@pytest.mark.skipif(not (DATA / "ucr").is_dir(), reason="needs the data folder")
def test_raw_neighbours_are_as_good_as_published_euclidean_ones():
    with np.load(DATA / "ucr" / "GunPoint.npz") as gunpoint:
        data = dict(gunpoint)
    series, train = fitted(list(data["X_train"]))
    test = series.collate([series.pack(series.read(row, Path())) for row in data["X_test"]])
    nearest = torch.cdist(series.raw(test), series.raw(train)).argmin(1).numpy()
    assert (data["y_train"][nearest] == data["y_test"]).mean() == pytest.approx(0.9133, abs=0.01)
