"""Rows go to one side by fraction, by group, by time or as given; and stay there when others are added."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kontrast.core.errors import UserError
from kontrast.core.experiment import Source
from kontrast.data.dataset.dataset import prepare
from kontrast.data.schema import fingerprint, split
from kontrast.data.schema.fields import infer
from kontrast.data.tables.frame import Frame
from kontrast.modalities.text.text import Text
from kontrast.runs import messages


def dataset(tmp_path, columns, kinds=None, *, held_out=0.3, validation=None, seed=0):
    """All columns as given; `text` is what is seen."""
    frame = Frame({n: pa.chunked_array([pa.array(c)]) for n, c in columns.items()}, "t", Path())
    fields = infer(frame, {"text": "text", **(kinds or {})}, None)
    source = Source(held_out=held_out, validation=validation)
    return prepare(frame, fields, {"text": Text()}, source=source, seed=seed, cache=tmp_path, fit=True)


def texts(n, start=0):
    return [f"row number {i} says {i * 7919}" for i in range(start, start + n)]


def sides(data, column="who"):
    return dict(zip(data.metadata[column].to_pylist(), data.held_out.tolist(), strict=True))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.text(max_size=8), unique=True, min_size=1), st.lists(st.text(max_size=8), unique=True), st.integers(0)
)
def test_a_row_keeps_its_side_whatever_rows_are_added(ids, more, seed):
    before = split.drawn(fingerprint.numbers(ids), 0.3, seed % 1000)
    every = ids + [name for name in more if name not in ids]
    order = np.random.default_rng(0).permutation(len(every))
    after = split.drawn(fingerprint.numbers([every[i] for i in order]), 0.3, seed % 1000)
    found = {every[i]: side for i, side in zip(order, after, strict=True)}
    assert [found[name] for name in ids] == before.tolist()


def test_a_group_is_never_parted_and_keeps_its_side_when_rows_and_groups_are_added(tmp_path):
    who = [f"person {i % 60}" for i in range(600)]
    small = dataset(tmp_path / "a", {"text": texts(600), "who": who}, {"who": "group"})
    found = sides(small)
    assert 0.1 < np.mean(list(found.values())) < 0.5
    for name, side in zip(small.metadata["who"].to_pylist(), small.held_out, strict=True):
        assert found[name] == side
    more = [f"person {i % 90}" for i in range(600, 1000)] + who
    large = sides(dataset(tmp_path / "b", {"text": texts(1000, 50), "who": more}, {"who": "group"}))
    assert all(large[name] == side for name, side in found.items())
    other = sides(dataset(tmp_path / "c", {"text": texts(600), "who": who}, {"who": "group"}, seed=1))
    assert other != found


def test_few_groups_approach_the_share_and_the_first_screen_says_so(tmp_path):
    who = [f"subject {i % 10}" for i in range(140)]
    for seed in range(5):
        data = dataset(
            tmp_path / str(seed), {"text": texts(140), "who": who}, {"who": "group"}, held_out=0.2, seed=seed
        )
        assert data.held_out.sum() == 28
        assert data.divided == "2 of 10 groups of 'who', each whole"
        assert (
            messages.split(data) == "112 train · 28 held out for evaluation (20%): 2 of 10 groups of 'who', each whole"
        )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=30), st.floats(0.05, 0.95), st.integers(0, 99))
def test_groups_of_any_sizes_stay_whole_and_on_both_sides(sizes, share, seed):
    units = np.repeat(fingerprint.numbers([str(i) for i in range(len(sizes))]), sizes)
    held_out = split.grouped(units, share, seed)
    assert 0 < held_out.sum() < len(units)
    assert all(len(set(held_out[units == unit])) == 1 for unit in np.unique(units))
    off = abs(held_out.mean() - share)
    assert off <= max(0.25 * share, max(sizes) / len(units))


def test_groups_of_numbers_and_rows_without_a_group_go_by_themselves(tmp_path):
    who = [float(i % 5) if i % 2 else None for i in range(400)]
    data = dataset(tmp_path, {"text": texts(400), "who": who}, {"who": "group"})
    alone = data.held_out[[name is None for name in data.metadata["who"].to_pylist()]]
    assert 0.2 < alone.mean() < 0.4
    assert len({(n, s) for n, s in zip(who, data.held_out.tolist(), strict=True) if n is not None}) == 5


def test_twins_of_two_groups_bring_both_groups_to_one_side(tmp_path):
    for seed in range(12):
        both = texts(40)
        both[3] = both[25]
        who = [f"g{i // 4}" for i in range(40)]
        data = dataset(tmp_path / str(seed), {"text": both, "who": who}, {"who": "group"}, seed=seed)
        found = sides(data)
        assert data.held_out[3] == data.held_out[25] == found["g0"] == found["g6"]
        assert all(found[name] == side for name, side in zip(who, data.held_out, strict=True))


def test_of_dates_the_latest_share_is_held_out_in_whichever_order_the_rows_come(tmp_path):
    order = np.random.default_rng(0).permutation(200)
    first = datetime.date(2024, 1, 1)
    days = [first + datetime.timedelta(days=int(i)) for i in order]
    stamps = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=int(i)) for i in order]
    for number, when in enumerate([days, stamps, [d.isoformat() for d in days], order.tolist(), (order / 7).tolist()]):
        data = dataset(tmp_path / str(number), {"text": texts(200), "when": when}, {"when": "time"}, held_out=0.25)
        assert (data.held_out == (order >= 150)).all()


def test_rows_of_one_instant_are_on_one_side_and_rows_without_a_time_are_trained_on():
    times = np.array([1, 2, 3, 3, 3, split.NO_TIME])
    assert split.latest(times, 0.2).tolist() == [False, False, True, True, True, False]
    assert not split.latest(np.array([5, 5, 5]), 0.5).any()
    assert split.latest(np.array([1, 1, 1, 2]), 0.9).tolist() == [False, False, False, True]
    assert not split.latest(times, 0).any()


def test_strings_of_time_are_read_with_and_without_zone():
    words = ["2024-05-17T10:00:00+02:00", "2024-05-17 08:30:00", "2024-05-17T08:45:00Z", "", None, "2024-05-18"]
    times = split.times(pa.chunked_array([words[:3], words[3:]]), "t")
    assert np.argsort(times).tolist() == [3, 4, 0, 1, 2, 5]
    assert times[3] == times[4] == split.NO_TIME
    with pytest.raises(UserError, match=r"t, column 'when'.*'17.05.2024'.*expected dates such as 2024-05-17"):
        split.times(pa.chunked_array([["2024-05-17", "17.05.2024"]]), "t, column 'when'")
    with pytest.raises(UserError, match="holds bool"):
        split.times(pa.chunked_array([[True]]), "t")


def test_a_later_copy_of_an_earlier_row_is_trained_on_not_evaluated(tmp_path):
    both = texts(100)
    both[95] = both[10]
    data = dataset(tmp_path, {"text": both, "when": list(range(100))}, {"when": "time"}, held_out=0.2)
    assert np.flatnonzero(data.held_out).tolist() == [*range(80, 95), *range(96, 100)]


def test_the_users_group_or_time_wins_over_a_split_column_and_two_are_refused(tmp_path):
    columns = {"text": texts(100), "split": ["train"] * 50 + ["test"] * 50, "when": list(range(100, 0, -1))}
    given_ = dataset(tmp_path / "a", columns)
    assert given_.held_out.tolist() == [False] * 50 + [True] * 50
    by_time = dataset(tmp_path / "b", columns, {"when": "time"}, held_out=0.1)
    assert np.flatnonzero(by_time.held_out).tolist() == list(range(10))
    with pytest.raises(UserError, match="2 columns are chosen as the split or time: split, when; expected one"):
        dataset(tmp_path / "c", columns, {"split": "split", "when": "time"})


def test_a_weight_is_a_number_above_nought_in_every_row(tmp_path):
    data = dataset(tmp_path / "a", {"text": texts(3), "w": [1, 2, 3]}, {"w": "weight"}, held_out=0)
    assert data.weights.tolist() == [1, 2, 3]
    assert dataset(tmp_path / "b", {"text": texts(3)}, held_out=0).weights is None
    with pytest.raises(UserError, match=r"column 'w', row 1: the weight is 0; expected a number above 0"):
        dataset(tmp_path / "c", {"text": texts(3), "w": [1, 0, 3]}, {"w": "weight"}, held_out=0)
    with pytest.raises(UserError, match="row 2: the weight is None"):
        dataset(tmp_path / "d", {"text": texts(3), "w": [1, 2, None]}, {"w": "weight"}, held_out=0)


def test_validation_rows_are_drawn_of_the_rest_and_keep_their_side_when_rows_are_added(tmp_path):
    ids = [f"row {i}" for i in range(1200)]
    small = dataset(tmp_path / "a", {"text": texts(600), "id": ids[:600]}, held_out=0.2, validation=0.25)
    assert not (small.held_out & small.validation).any()
    assert (small.training == ~(small.held_out | small.validation)).all()
    assert 0.15 < small.validation.mean() < 0.25  # a quarter of four fifths
    alone = dataset(tmp_path / "b", {"text": texts(600), "id": ids[:600]}, held_out=0.2)
    assert (alone.held_out == small.held_out).all()
    assert not alone.validation.any()
    large = dataset(tmp_path / "c", {"text": texts(1200), "id": ids}, held_out=0.2, validation=0.25)
    assert (large.validation[:600] == small.validation).all()
    assert (large.held_out[:600] == small.held_out).all()


def test_validation_takes_whole_groups_the_times_before_the_held_out_ones_and_all_copies(tmp_path):
    who = [f"g{i // 10}" for i in range(400)]
    data = dataset(tmp_path / "a", {"text": texts(400), "who": who}, {"who": "group"}, validation=0.2)
    side = data.held_out * 2 + data.validation
    assert all(len(set(side[i : i + 10])) == 1 for i in range(0, 400, 10))
    assert 0.05 < data.validation.mean() < 0.3
    data = dataset(tmp_path / "b", {"text": texts(100), "when": list(range(100))}, {"when": "time"}, validation=0.1)
    assert np.flatnonzero(data.held_out).tolist() == list(range(70, 100))
    assert np.flatnonzero(data.validation).tolist() == list(range(63, 70))
    twice = [f"row number {i // 2} of those that come twice" for i in range(400)]
    data = dataset(tmp_path / "c", {"text": twice}, validation=0.3)
    side = data.held_out * 2 + data.validation
    assert (side[::2] == side[1::2]).all()
    assert 0.1 < data.validation.mean() < 0.35


def test_named_validation_rows_beside_a_test_validate_unless_told_otherwise(tmp_path):
    columns = {"text": texts(60), "split": ["train", "train", "dev", "test"] * 15}
    data = dataset(tmp_path / "a", columns)
    assert np.flatnonzero(data.validation).tolist() == list(range(2, 60, 4))
    assert np.flatnonzero(data.held_out).tolist() == list(range(3, 60, 4))
    assert dataset(tmp_path / "b", columns, validation=0.5).validation.tolist() == data.validation.tolist()
    assert dataset(tmp_path / "c", columns, validation=0.0).training.sum() == 45
    two = {**columns, "split": ["train", "train", "train", "test"] * 15}
    drawn = dataset(tmp_path / "d", two, validation=0.3)  # the data names none: of its training rows
    assert drawn.held_out.tolist() == data.held_out.tolist()
    assert 5 < drawn.validation.sum() < 22
    with pytest.raises(UserError, match=r"source.validation=1.5; expected 0 to 1"):
        Source(validation=1.5)


def test_what_was_fitted_to_rows_that_copies_take_out_of_training_is_fitted_without_them(tmp_path):
    for seed in range(4):
        both = texts(60)
        for row in range(30):
            both[2 * row + 1] = both[2 * row] = f"an own word{row} of its own"
        data = dataset(tmp_path / str(seed), {"text": both}, seed=seed)
        words = {f"word{row}" for row in range(30) if data.training[2 * row]}
        frame = Frame({"text": pa.chunked_array([pa.array(both)])}, "t", Path())
        modality = Text()
        made = prepare(
            frame,
            infer(frame, {"text": "text"}, None),
            {"text": modality},
            source=Source(held_out=0.3),
            seed=seed,
            cache=tmp_path / f"again {seed}",
            fit=True,
        )
        assert made.training.tolist() == data.training.tolist()
        assert modality.state()["documents"] == made.training.sum() == 2 * len(words)
