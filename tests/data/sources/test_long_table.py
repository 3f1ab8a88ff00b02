"""Long tables: gathered as a slow loop does, on a grid, by elapsed time or in order; mistakes in one sentence."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.errors import UserError
from kontrast.core.experiment import Source
from kontrast.data.sources.source_rows import source_rows

LONG = Source(series="device", time="t")


def table(times, channels=2, **more):
    """Rows of some series, whose readings are numbered; the label is that of the series."""
    rng = np.random.default_rng(0)
    names = [f"dev{i}" for i in range(len(times))]
    lengths = [len(one) for one in times]
    found = {"device": np.repeat(names, lengths), "t": np.concatenate(times), "label": np.repeat(names, lengths)}
    found |= {f"c{i}": rng.normal(size=sum(lengths)).astype(np.float32) for i in range(channels)}
    return found | {name: list(values) for name, values in more.items()}


def mixed_up(columns, seed=0):
    order = np.random.default_rng(seed).permutation(len(columns["t"]))
    return {name: np.asarray(values)[order] for name, values in columns.items()}


def opened(data, source=LONG, **chosen):
    return source_rows(data, source, cache=None, chosen=chosen)


def cells(frame, name="series"):
    """Cells by series."""
    return dict(zip(frame.cells("device", range(len(frame))), frame.cells(name, range(len(frame))), strict=True))


def slowly(data, step):
    """Readings of each series averaged at whole steps after its first time."""
    found = {}
    for name in dict.fromkeys(data["device"]):
        rows = [i for i, one in enumerate(data["device"]) if one == name]
        first = min(data["t"][i] for i in rows)
        at = [round((data["t"][i] - first) / step) for i in rows]
        x = np.full((max(at) + 1, 2), np.nan)
        for place in set(at):
            for channel in range(2):
                here = [float(data[f"c{channel}"][i]) for i, one in zip(rows, at, strict=True) if one == place]
                here = [one for one in here if not np.isnan(one)]
                x[place, channel] = np.mean(here) if here else np.nan
        found[name] = x
    return found


def irregular(seed=0):
    rng = np.random.default_rng(seed)
    return mixed_up(table([np.cumsum(rng.exponential(1, n)) for n in (20, 33, 27, 1)]))


def test_irregular_times_in_any_order_are_averaged_on_a_grid_as_by_a_slow_loop():
    data = irregular()
    data["c1"][3] = float("nan")
    frame, source = opened(data)
    assert (source.sampling, source.channels) == ("grid", ("c0", "c1"))
    expected = slowly(data, source.step)
    for name, found in cells(frame).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-6, err_msg=name)
    assert frame.cells("label", range(len(frame))) == frame.cells("device", range(len(frame)))
    assert frame.cells("device", range(len(frame))) == list(dict.fromkeys(data["device"]))  # in order of occurrence
    said = {remark.name: remark for remark in frame.remarks}
    assert said["sampling"].level == "note"
    assert "irregular times" in said["sampling"].words
    assert said["gaps"].numbers["share"] == pytest.approx(
        np.isnan(np.concatenate(list(cells(frame).values()))).all(1).mean(), abs=0.01
    )
    assert [frame.cells("device", remark.rows)[0] for remark in [said["one instant"]]] == ["dev3"]


@pytest.mark.parametrize("kind", ["numbers", "dates", "text", "days"])
def test_regular_times_with_missing_instants_become_gaps(kind):
    steps = [np.array([0, 1, 2, 5, 6, 7, 8]), np.arange(9), np.arange(4)]
    day = np.datetime64("2024-02-28T10:00:00")
    dates = [day + (60 * one).astype("timedelta64[s]") for one in steps]
    times, step = {
        "numbers": ([2.5 * one for one in steps], 2.5),
        "dates": (dates, 60),
        "text": ([one.astype(str) for one in dates], 60),
        "days": ([(day.astype("datetime64[D]") + one) for one in steps], 86400),
    }[kind]
    frame, source = opened(mixed_up(table(times)))
    assert (source.sampling, source.step) == ("grid", step)
    found = cells(frame)
    assert [len(found[f"dev{i}"]) for i in range(3)] == [9, 9, 4]
    assert np.flatnonzero(np.isnan(found["dev0"][:, 0])).tolist() == [3, 4]
    assert not np.isnan(found["dev1"]).any()
    assert next(r.level for r in frame.remarks if r.name == "sampling") == "fact"


def test_months_and_jitter_and_a_slow_clock_add_no_gap():
    rng = np.random.default_rng(1)
    months = np.arange(np.datetime64("2019-01"), np.datetime64("2024-01")).astype("datetime64[D]")
    jitter = np.arange(400) + rng.uniform(-0.1, 0.1, 400)
    for times in ([months] * 3, [jitter, 1.01 * np.arange(500)]):
        frame, _ = opened(table(times))
        assert [len(one) for one in cells(frame).values()] == [len(one) for one in times]
        assert not np.isnan(np.concatenate(list(cells(frame).values()))).any()


def test_elapsed_keeps_each_reading_and_adds_the_time_since_the_one_before():
    times = [np.array([0.0, 1, 3, 7]), np.array([5.0, 6, 6, 8])]
    data = table(times)
    frame, source = opened(mixed_up(data), replace(LONG, sampling="elapsed", step=1.0))
    found = cells(frame)
    np.testing.assert_allclose(found["dev0"][:, 2], np.log1p([0, 1, 2, 4]), rtol=1e-6)
    np.testing.assert_allclose(found["dev1"][:, 2], np.log1p([0, 1, 2]), rtol=1e-6)
    np.testing.assert_allclose(found["dev1"][1, 0], data["c0"][5:7].mean(), rtol=1e-6)  # of one time
    assert source.channels == ("c0", "c1")
    assert "repeated times" in {remark.name for remark in frame.remarks}


def test_bursts_that_a_grid_would_drown_in_gaps_keep_their_readings():
    rng = np.random.default_rng(0)
    bursts = [np.sort(np.concatenate([rng.uniform(0, 10, 40) + 5000 * k for k in range(6)])) for _ in range(4)]
    frame, source = opened(table(bursts))
    assert source.sampling == "elapsed"
    assert "instants per reading" in next(r.words for r in frame.remarks if r.name == "sampling")
    assert [one.shape for one in cells(frame).values()] == [(240, 3)] * 4


def test_without_times_the_rows_are_taken_in_their_order():
    data = table([np.arange(5), np.arange(7)])
    del data["t"]
    frame, source = opened(data, Source(series="device"))
    assert (source.sampling, source.step) == ("order", None)
    np.testing.assert_array_equal(cells(frame)["dev1"][:, 0], data["c0"][5:])


def test_what_a_run_chose_is_kept_for_new_data():
    _, source = opened(irregular())
    new = table([np.arange(0, 9, 0.25), np.arange(3.0)], channels=3)
    again, same = opened(new, source)
    assert same == source
    for name, found in cells(again).items():
        np.testing.assert_allclose(found, slowly(new, source.step)[name], rtol=1e-6)
    (other,) = opened({name: values[-3:] for name, values in new.items()}, source)[0].cells("series", [0])
    np.testing.assert_array_equal(other, cells(again)["dev1"])  # a series does not depend on the others
    assert "c2" in next(r.words for r in again.remarks if r.name == "left out of series")
    with pytest.raises(UserError, match="no column 'c1'"):
        opened(table([np.arange(5)], channels=1), source)


def test_columns_that_change_are_channels_and_the_others_stay():
    note = [f"word{i}" for i in range(12)]
    more = {"on": [True, False] * 6, "whole": list(range(12)), "sex": ["f"] * 5 + ["m"] * 7, "note": note}
    more |= {"set": [1] * 5 + [2] * 7, "first": [7, *[None] * 4, 8, *[None] * 6], "empty": [None] * 12}
    data = table([np.arange(5), np.arange(7)], **more)
    frame, source = opened(data)
    assert source.channels == ("c0", "c1", "on", "whole")
    assert list(frame.columns) == ["device", "t", "label", "sex", "set", "first", "empty", "series"]
    assert frame.cells("sex", [0, 1]) == ["f", "m"]
    assert frame.cells("first", [0, 1]) == [7, 8]
    assert cells(frame)["dev0"][:2, 2:].tolist() == [[1, 0], [0, 1]]
    assert "note (changes within a series" in next(r.words for r in frame.remarks if r.name == "left out of series")
    assert opened(data, whole="ignore", set="series")[1].channels == ("c0", "c1", "on", "set")
    with pytest.raises(UserError, match=r"'whole' is chosen as the label but changes within a series"):
        opened(data, whole="label")


def test_a_name_in_both_parts_of_a_split_is_two_series():
    data = table([np.arange(5), np.arange(7)])
    data["device"] = np.repeat("unit1", 12)
    data["split"] = ["train"] * 5 + ["test"] * 7
    frame, _ = opened(data)
    assert frame.cells("split", [0, 1]) == ["train", "test"]
    assert [len(one) for one in frame.cells("series", [0, 1])] == [5, 7]


def test_many_channels_and_series_longer_than_a_block(monkeypatch):
    monkeypatch.setattr("kontrast.data.sources.long_table.AT_ONCE", 300)
    data = table([np.arange(n) for n in (40, 3, 50, 1, 2)], channels=100)
    frame, source = opened(mixed_up(data))
    assert len(source.channels) == 100
    stacked = np.stack([data[name] for name in source.channels], 1)
    bounds = np.cumsum([0, 40, 3, 50, 1, 2])
    for place in range(5):
        np.testing.assert_array_equal(cells(frame)[f"dev{place}"], stacked[bounds[place] : bounds[place + 1]])


def test_kept_in_a_cache_it_is_the_same(tmp_path):
    data = irregular()
    one = opened(data)[0]
    two, _ = source_rows(pa.table(data), LONG, cache=tmp_path, chosen={})
    for name, found in cells(one).items():
        np.testing.assert_array_equal(found, cells(two)[name])
    assert list((tmp_path / "tables").iterdir())


def far():
    times = [np.arange(30.0), np.arange(30.0)]
    times[1][12:] += 1.7e9
    return table(times)


@pytest.mark.parametrize(
    ("data", "source", "words"),
    [
        (table([np.arange(5)] * 2), replace(LONG, series="devise"), r"no column 'devise'.*did you mean 'device'"),
        (table([np.arange(5)] * 2), replace(LONG, time="when"), r"no column 'when', which is the time"),
        (table([np.arange(5)] * 2), Source(time="t"), r"expected source.series"),
        (table([["soon"] * 5] * 2), LONG, r"'t'.*'soon'.*expected dates such as 2024-05-17"),
        (table([np.arange(5)]), LONG, "all rows are of one series"),
        (table([[0]] * 5), LONG, "in one row only"),
        (table([[3.0] * 5] * 2), LONG, "one time only within each series"),
        (table([np.arange(5)] * 2, channels=0), LONG, "no column of numbers changes within the series"),
        (table([np.arange(5)] * 2, series=["x"] * 10), LONG, "has a column 'series'.*rename it"),
        (table([np.full(5, np.nan)] * 2), LONG, "'t' is empty in every row"),
        (far(), LONG, r"times of series 'dev1' jump from 11.0 to 1700000012.0"),
        (table([np.arange(5)] * 2), replace(LONG, time=None, sampling="grid"), "--time COLUMN"),
    ],
)
def test_mistakes_are_one_sentence(data, source, words):
    with pytest.raises(UserError, match=words):
        opened(data, source)


def test_rows_without_series_or_time_are_left_out_and_counted():
    data = table([np.arange(5.0), np.arange(7.0)])
    data["device"] = [None, "", *data["device"][2:]]
    data["t"][4] = np.nan
    frame, _ = opened(data)
    assert [len(one) for one in cells(frame).values()] == [2, 7]
    assert frame.remarks[1].numbers["rows"] == 3
