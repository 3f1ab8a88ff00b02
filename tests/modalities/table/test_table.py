"""Tables: kinds of column, missing and unseen cells, views by role, and what is kept."""

import datetime
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable, UserError
from kontrast.modalities.table.table import Table

JOBS = ("nurse", "cook", "pilot")


def person(i, rng):
    return {
        "age": int(rng.integers(18, 80)) if i % 7 else None,
        "income": float(np.exp(rng.normal(10, 1))),
        "job": JOBS[i % 3],
        "hired": datetime.date(2020, 1, 1) + datetime.timedelta(days=i),
        "ill": bool(i % 2),
        "name": f"Person {rng.integers(1_000_000)}",
        "planet": "Earth",
        "score": "?" if i % 30 == 0 else str(i * 1.5),
    }


def people(n=100, **settings):
    rng = np.random.default_rng(0)
    table = Table(**settings)
    return fitted(table, [person(i, rng) for i in range(n)])


def fitted(table, cells):
    items = [table.read(cell, Path()) for cell in cells]
    table.fit(items)
    return table, table.collate([table.pack(item) for item in items])


def keys(n, view=0):
    return random_streams.key(0, 0, torch.arange(n), view)


def packed(table, cell):
    return table.pack(table.read(cell, Path()))


def test_each_column_finds_its_kind_and_a_constant_one_is_left_out():
    table, batch = people()
    kinds = {name: kind for kind, state in table.state()["blocks"].items() for name in state["names"]}
    assert kinds == {
        "age": "Numbers",
        "income": "Numbers",
        "score": "Numbers",
        "job": "Categories",
        "ill": "Categories",
        "hired": "Dates",
        "name": "Strings",
    }
    assert "planet: the same in every training row (Earth)" in table.note()
    assert len(table.facts()["column_sizes"]) == 7
    x = table.preprocess(batch)
    assert x.shape == (100, sum(table.facts()["column_sizes"]))
    assert bool(x.isfinite().all())


def test_numbers_are_in_standard_units_and_reach_into_the_parts_between_quantiles():
    table, batch = fitted(Table(bins=4, scaling="both"), [{"a": float(v), "b": -v} for v in (0, 1, 2, 3, 10)])
    x = table.preprocess(batch)[:, : table.facts()["column_sizes"][0]]
    a = np.array([0, 1, 2, 3, 10])
    np.testing.assert_allclose(x[:, 0], (a - a.mean()) / a.std(), rtol=1e-5)
    knots = np.quantile(a, [0, 0.25, 0.5, 0.75, 1])
    want = np.clip((a[:, None] - knots[:-1]) / np.diff(knots), 0, 1)
    np.testing.assert_allclose(x[:, 1:5], want, atol=1e-6)
    assert not x[:, 5].any()


def test_missing_cells_say_so_and_have_no_other_feature():
    table, _ = people()
    nothing = torch.from_numpy(packed(table, {"job": "cook"}))[None]
    x = table.preprocess(nothing)[0].split(table.facts()["column_sizes"])
    for name, part in zip(table.names, x, strict=True):
        assert part[-1] == (name != "job")
        assert part[:-1].abs().sum() == (name == "job")


def test_unseen_categories_are_rare_if_some_were_and_missing_otherwise():
    table, _ = fitted(Table(columns=["c"]), [{"c": "ab"[i % 2]} for i in range(40)])
    assert math.isnan(packed(table, {"c": "new"})[0])
    table, batch = fitted(Table(columns=["c"]), [{"c": "ab"[i % 2] if i else "once"} for i in range(40)])
    assert packed(table, {"c": "new"})[0] == packed(table, {"c": "once"})[0] == 2
    assert table.preprocess(batch).shape[1] == 4  # a, b, rare, missing


def test_numbers_that_are_codes_become_categories_and_keep_them_across_gaps():
    table, _ = fitted(Table(categories=["zone"]), [{"zone": i % 4, "x": i * 0.1} for i in range(30)])
    assert "Categories" in table.state()["blocks"]
    np.testing.assert_array_equal(packed(table, {"zone": 3, "x": 0}), packed(table, {"zone": 3.0, "x": 0}))


def test_dates_are_read_in_several_spellings_and_know_the_time_of_day():
    cells = [{"when": f"2024-03-{1 + i % 28:02d} {i % 24:02d}:30"} for i in range(40)]
    table, batch = fitted(Table(), cells)
    x = table.preprocess(batch)
    assert "Dates" in table.state()["blocks"]
    assert x.shape[1] == 8
    # the same hour of another day: the same sine and cosine of the day, another instant
    assert torch.allclose(x[0, [3, 6]], x[24, [3, 6]], atol=1e-5)
    assert x[0, 0] != x[24, 0]
    spellings = [packed(table, {"when": w}) for w in ("2024-03-05", "2024/3/5", "5.3.2024", "2024-03-05T00:00:00Z")]
    assert all(np.array_equal(one, spellings[0]) for one in spellings)


def test_views_change_cells_by_role_and_do_not_depend_on_the_batch():
    table, batch = people(corrupt=0.5)
    plain, ends = table.preprocess(batch), np.cumsum(table.facts()["column_sizes"])
    changed, shown = {}, {}
    for role in ("weak", "global", "strong", "local", "context", "original"):
        view = table.augment(batch, keys(100), role=role)
        assert torch.equal(view[3:9], table.augment(batch[3:9], keys(100)[3:9], role=role))
        assert bool(view.isfinite().all())
        changed[role] = float((view != plain).float().mean())
        shown[role] = float((view[:, ends - 1] == 0).float().mean())
    assert 0 == changed["original"] < changed["weak"] < changed["global"] < changed["strong"]
    assert shown["local"] < 0.3 < shown["context"] < 0.6 < shown["global"]


def test_corrupted_cells_follow_the_marginals_and_are_as_many_as_asked():
    table, batch = fitted(
        Table(corrupt=0.5),
        [{"a": i, "b": i, "c": "xyz"[i % 3 if i < 90 else 0]} for i in range(99)] + [{"a": 1e3, "b": None, "c": "x"}],
    )
    rows = batch[:1].repeat(4000, 1)
    view = table.augment(rows, keys(4000))
    same = (view == table.preprocess(rows)).unflatten(1, (1, -1)).squeeze(1)
    parts = same.split(table.facts()["column_sizes"], 1)
    kept = torch.stack([part.all(1) for part in parts], 1).float()
    assert abs(float(kept.mean()) - 0.5) < 0.12  # a drawn category is often the one that was there
    code = view[:, -4:][~kept[:, 2].bool()].argmax(1)
    assert set(code.tolist()) == {1, 2}  # y and z in place of x


def test_subsets_and_hidden_columns_are_missing_ones():
    table, batch = people(corrupt=0, subset=0.5)
    ends = torch.tensor(table.facts()["column_sizes"]).cumsum(0) - 1
    gone = table.augment(batch, keys(100))[:, ends]
    assert float(gone.sum(1).min()) >= 3
    assert float(gone.sum(1).max()) < 7
    hidden, batch = people(corrupt=0, hide=0.2)
    assert 0.1 < float(hidden.augment(batch, keys(100))[:, ends].mean()) < 0.4
    assert not Table(corrupt=0).augments("global")
    assert Table(corrupt=0).augments("local")


def test_what_is_kept_restores_the_table_exactly():
    table, batch = people()
    again = Table()
    again.restore(json.loads(json.dumps(table.state())))
    assert torch.equal(again.preprocess(batch), table.preprocess(batch))
    assert torch.equal(again.augment(batch, keys(100)), table.augment(batch, keys(100)))
    assert again.names == table.names
    assert again.note() == table.note()


def test_rows_are_shown_in_words_as_they_are_and_as_the_encoder_sees_them():
    table, batch = people()
    words = table.show(batch[1].numpy())
    assert "job: cook" in words
    assert "ill: True" in words
    assert "hired: 2020-01-02" in words
    assert table.look(table.preprocess(batch)[1]) == words
    html = Table()
    html, rows = fitted(html, [{"<b>": "<i>" if i % 2 else "&", "n": i / 3} for i in range(30)])
    assert "<b>" not in html.show(rows[0].numpy())
    assert "&lt;b&gt;" in html.show(rows[0].numpy())


def test_raw_features_are_what_a_linear_model_sees():
    table, batch = people()
    raw = table.raw(batch)
    assert bool(raw.isfinite().all())
    known = batch[:, 0].isfinite()
    assert abs(float(raw[known, 0].mean())) < 1e-5
    assert bool((raw[~known, 0] == 0).all())


def test_ten_thousand_columns_stay_small():
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(10_000)]
    cells = [dict(zip(names, row, strict=True)) for row in rng.normal(size=(12, 10_000))]
    table, batch = fitted(Table(), cells)
    assert sum(table.facts()["column_sizes"]) <= 60_000
    assert len(json.dumps(table.state())) < 20_000_000
    assert table.augment(batch, keys(12)).shape[0] == 12


def test_a_column_that_numbers_the_rows_is_left_out():
    table, _ = fitted(Table(), [{"row": i, "x": (i * 7 % 13) / 3} for i in range(40)])
    assert table.names == ["x"]
    assert "row: it numbers the rows" in table.note()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("no json", "expected a record of columns"),
        ([1, 2], "is list; expected a record"),
        ({"other": 1}, "has none of the columns age, income"),
        ({"age": None, "income": math.nan, "job": " "}, "has no value in any of its columns"),
        ({"age": [1, 2]}, "holds list in column 'age'; expected a single value"),
        ({"age": "old"}, "holds 'old' in column 'age', where the training rows hold numbers"),
        ({"hired": "soon"}, "holds 'soon' in column 'hired', where the training rows hold dates"),
    ],
)
def test_a_cell_that_cannot_be_read_says_why(cell, words):
    table, _ = people(columns=list(person(0, np.random.default_rng(0))))
    with pytest.raises(Unreadable, match=words):
        packed(table, cell)


def test_json_text_and_infinite_numbers_are_read():
    table, _ = people()
    assert packed(table, '{"age": 31, "income": 1e99}')[:2].tolist()[0] == 31
    assert math.isnan(packed(table, {"age": 31, "income": math.inf})[1])


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="no column to learn from"):
        fitted(Table(), [{"a": 1, "b": None}] * 5)
    with pytest.raises(UserError, match=r"columns=\[\]"):
        Table(columns=[])
    with pytest.raises(UserError, match="subset=0"):
        Table(subset=0.0)
    with pytest.raises(UserError, match="categories names 'zone'"):
        Table(columns=["a"], categories=["zone"])
