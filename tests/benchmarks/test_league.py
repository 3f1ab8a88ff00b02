"""benchmarks.league: its arithmetic, its clock and its cells, on data of a few rows."""

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks.league import found, table
from benchmarks.league.__main__ import main
from benchmarks.league.cell import play
from benchmarks.league.contestant import Budget, Contestant
from benchmarks.league.contestants.ts2vec import Net, hierarchical, instances, step
from benchmarks.league.plain import batches, numbers, padded
from benchmarks.league.probe import labelled, matched
from benchmarks.league.task import Task
from benchmarks.league.verdict import compare, row_scores

pytestmark = pytest.mark.slow


def series_task(rows=24):
    """Slow and fast waves, some of them cut short; trivial to tell apart by eye and by a spectrum."""
    draw = np.random.default_rng(0)
    t = np.linspace(0, 2 * np.pi, 32)
    labels = np.arange(rows) % 2
    cells = [np.sin((1 + 4 * y) * t + draw.uniform(0, 0.3))[:, None].astype(np.float32) for y in labels]
    half = rows // 2
    return Task("waves", {"s": "series"}, {"s": cells[:half]}, {"s": cells[half:]}, labels[:half], labels[half:])


# --- the verdict ---


def test_the_interval_decides_the_verdict():
    draw = np.random.default_rng(1)
    one = draw.integers(0, 2, 400).astype(float)
    better = np.maximum(one, draw.random(400) < 0.2)
    assert compare([better], [one]).verdict == "BETTER"
    assert compare([one], [better]).verdict == "WORSE"
    same = compare([one], [one])
    assert (same.mean, same.low, same.high, same.verdict) == (0, 0, 0, "SAME")


def test_the_interval_is_that_of_paired_rows():
    draw = np.random.default_rng(2)
    one = draw.integers(0, 2, 500).astype(float)
    other = one.copy()
    other[:5] = 1 - other[:5]  # the two agree on all other rows, so five rows are all that can move
    found_ = compare([one], [other])
    assert found_.high - found_.low < 0.025
    shuffled = compare([one], [draw.permutation(other)])
    assert shuffled.high - shuffled.low > 0.1


def test_the_interval_covers_as_often_as_it_says():
    """Rows whose true difference is .1: about 95 of 100 intervals hold it, and never all rows the same."""
    inside = 0
    for seed in range(50):
        draw = np.random.default_rng(seed)
        one, two = (draw.random(150) < p for p in (0.7, 0.6))
        d = compare([one.astype(float)], [two.astype(float)], seed=seed)
        inside += d.low <= 0.1 <= d.high
    assert 43 <= inside <= 50


def test_seeds_that_differ_widen_the_interval():
    rows = np.random.default_rng(3).integers(0, 2, 300).astype(float)
    lucky, unlucky = np.maximum(rows, 0.4), np.minimum(rows, 0.6)
    alone, several = compare([rows], [rows * 0.9]), compare([lucky, unlucky], [rows * 0.9])
    assert several.high - several.low > 2 * (alone.high - alone.low)


def test_other_rows_are_refused():
    with pytest.raises(ValueError, match="3 and 4 test rows"):
        compare([np.zeros(3)], [np.zeros(4)])


def test_a_rows_score_is_the_mean_of_its_measures():
    assert row_scores({"kNN": np.array([1.0, 0, 1]), "linear": np.array([1.0, 1, 0])}).tolist() == [1, 0.5, 0.5]


# --- the probe ---


def test_the_probe_on_clusters_and_on_noise():
    draw = np.random.default_rng(0)
    y = np.arange(90) % 3
    clusters, noise = np.eye(3)[y] * 8 + draw.normal(size=(90, 3)), draw.normal(size=(90, 3))
    good, bad = (labelled(z[:60], y[:60], z[60:], y[60:]) for z in (clusters, noise))
    assert {name: rows.shape for name, rows in good.items()} == {"kNN": (30,), "linear": (30,)}
    assert min(rows.mean() for rows in good.values()) > 0.95
    assert max(rows.mean() for rows in bad.values()) < 0.6


def test_the_probe_takes_few_rows_zeros_and_constant_columns():
    z, y = np.zeros((4, 3)), np.array(["a", "b", "a", "b"])
    z[:, 0] = [1, -1, 1, -1]
    assert labelled(z, y, z, y)["kNN"].shape == (4,)


def test_partners_are_found_in_both_directions():
    z = np.random.default_rng(0).normal(size=(40, 8))
    assert all(rows.mean() == 1 for rows in matched(z, z + 1e-3).values())
    swapped = z.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert matched(z, swapped)["R@1"].tolist() == [0, 0, *[1] * 38]
    assert matched(z, -z)["R@10"].mean() < 0.5


# --- the clock, and cells as numbers ---


def test_the_budget_counts_its_own_clock():
    now = [10.0]
    budget = Budget(4, lambda: now[0])
    now[0] = 20.0
    assert budget.over
    budget.begin()
    assert not budget.over
    now[0] = 23.0
    assert (budget.used, budget.share, budget.over) == (3, 0.75, False)


def test_batches_are_whole_and_see_every_row_once_a_pass():
    some = batches(10, 3, 0)
    seen = [next(some) for _ in range(6)]
    assert {len(b) for b in seen} == {3}
    assert len({*np.concatenate(seen[:3]).tolist()}) == 9
    assert len(next(batches(2, 8, 0))) == 2


def test_series_of_any_length_become_numbers_of_one_width():
    cells = [np.arange(5.0)[:, None], np.array([[1.0], [np.nan], [3.0], [np.nan]]), np.full((4, 1), 2.0)]
    z = numbers(cells, "series")
    assert z.shape == (3, 5)
    assert np.isfinite(z).all()
    assert np.allclose(z[0], z[1], atol=1e-5)  # both are straight lines
    assert padded(cells, 4).shape == (3, 4, 1)


# --- TS2Vec, from its paper ---


def test_ts2vec_contrasts_what_the_paper_says():
    """The instance loss by three nested loops, in float64."""
    one, two = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    total = 0.0
    for t in range(5):
        z = torch.cat((one[:, t], two[:, t]))
        for i in range(6):
            others = [float((z[i] @ z[j]).exp()) for j in range(6) if j != i]
            total -= float(z[i] @ z[(i + 3) % 6]) - np.log(sum(others))
    assert float(instances(one, two)) == pytest.approx(total / 30)


def test_ts2vec_halves_time_until_one_instant_is_left():
    one, two = torch.randn(2, 3, 4, 8)
    pooled = [torch.nn.functional.max_pool1d(z.mT, 2).mT for z in (one, two)]
    last = [torch.nn.functional.max_pool1d(z.mT, 2).mT for z in pooled]
    both = [
        (instances(a, b) + instances(a.mT.permute(2, 0, 1), b.mT.permute(2, 0, 1))) / 2 for a, b in ((one, two), pooled)
    ]
    assert float(hierarchical(one, two)) == pytest.approx(float(sum(both) + instances(*last) / 2) / 3, rel=1e-5)


def test_ts2vec_crops_overlap_on_the_same_instants():
    """A net that returns its input: where the crops overlap they are equal, so partners are as alike as can be."""
    seen = []

    class Same(Net):
        def forward(self, x):
            seen.append(x)
            return torch.cat((x, torch.zeros(*x.shape[:2], 3)), 2)

    x, draw = torch.randn(4, 20, 1), np.random.default_rng(0)
    for _ in range(20):
        assert torch.isfinite(step(Same(1), x, draw))
    for one, two in zip(seen[::2], seen[1::2], strict=True):
        shared = [n for n in range(2, 21) if torch.equal(one[:, -n:], two[:, :n])]
        assert shared


def test_ts2vec_learns_and_tells_its_steps(tmp_path):
    contestant = found.contestant("ts2vec")(tmp_path)
    result = play(series_task(), contestant, 0.5, 0)
    assert result["facts"]["steps"] >= 1
    assert result["width"] == 320


# --- the folders, the cells, the table ---


def test_every_contestant_and_set_is_found_by_its_file(tmp_path):
    here = found.contestants()
    assert {"kontrast", "ts2vec", "lightly_simclr", "open_clip_loop", "sentence_scratch", "raw", "tfidf"} <= set(here)
    assert all(issubclass(c, Contestant) and c.title and c.standing for c in here.values())
    assert found.sets(tmp_path) == {}


def a_set(folder):
    task = series_task()
    (folder / "ucr").mkdir()
    arrays = {
        f"X_{part}": np.stack([c[:, 0] for c in cells["s"]])
        for part, cells in (("train", task.train), ("test", task.test))
    }
    np.savez(folder / "ucr" / "Waves.npz", **arrays, y_train=task.train_labels, y_test=task.test_labels)
    return folder


def cell(contestant, right, seed=0):
    """A finished cell with so many of 12 rows named rightly."""
    measures = {name: [1.0] * right + [0.0] * (12 - right) for name in ("kNN", "linear")}
    return {"set": "Waves", "kind": "series", "note": "", "rows": [12, 12], "contestant": contestant, "seed": seed} | {
        "seconds": 1, "fit_seconds": 1, "facts": {"steps": 3}, "measures": measures
    }  # fmt: skip


def league(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["league", *map(str, arguments)])
    main()


def test_the_league_plays_what_is_missing_and_prints(tmp_path, monkeypatch, capsys):
    data, out = a_set(tmp_path), tmp_path / "cells"
    out.mkdir()
    (out / "Waves.kontrast.0.json").write_text(json.dumps(cell("kontrast", 12)))
    league(monkeypatch, "--data", data, "--seconds", "0.2", "--out", out, "--contestants", "kontrast", "raw")
    said = capsys.readouterr()
    assert "Waves, raw, seed 0" in said.err
    assert "Waves, kontrast" not in said.err  # it was there
    assert "| raw |" in said.out
    played = json.loads((out / "Waves.raw.0.json").read_text())
    assert (played["rows"], played["kind"], len(played["measures"]["kNN"])) == ([12, 12], "series", 12)
    assert {p.suffix for p in out.iterdir()} == {".json"}


def test_an_unknown_set_is_refused(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"no set 'Wave'; found Waves\."):
        league(monkeypatch, "--data", a_set(tmp_path), "--sets", "Wave")


def test_kontrast_plays_within_its_processor_seconds(tmp_path):
    result = play(series_task(), found.contestant("kontrast")(tmp_path), 1.0, 0)
    assert result["facts"]["steps"] >= 1
    assert 0 < result["fit_seconds"] <= result["whole_seconds"]


def test_the_table_counts_verdicts():
    printed = table.markdown([cell("kontrast", 6), cell("ts2vec", 1), cell("raw", 6), cell("pca", 12)])
    assert "TS2Vec | 3 | 1 | kNN 0.083 | linear 0.083 | +41.7" in printed
    assert "**BETTER**" in printed
    assert "| series | kontrast | TS2Vec | 1: Waves | 0 | 0 |" in printed
    assert "| series | kontrast | raw | 0 | 1: Waves | 0 |" in printed
    assert "| series | kontrast | PCA | 0 | 0 | 1: Waves |" in printed
