"""Steps before width, and how the minutes of a run are divided."""

import json
import time

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from kontrast.core.experiment import Plan
from kontrast.data.dataset.length_buckets import bucketed
from kontrast.data.samplers.sampler import Sampled
from kontrast.data.samplers.shuffled import Shuffled
from kontrast.runs.folder.folder import Folder
from kontrast.training import pacing
from kontrast.training.budget import Budget
from kontrast.training.loop import replanned
from tests.support.series import waves
from tests.support.short_runs import QUICK, Facts

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("rows", "batch"),
    [(2, 32), (390, 32), (1000, 32), (1100, 64), (2100, 128), (4096, 256), (1_200_000, 256)],
)
def test_an_epoch_has_some_steps_before_they_get_wide(rows, batch):
    assert pacing.usual(rows) == batch
    assert (
        pacing.named(Plan(), rows) == pacing.named(Plan(steps=5), rows) == pacing.named(Plan(minutes=1), rows) == batch
    )
    assert pacing.named(Plan(batch=7), rows) == 7


@pytest.mark.parametrize(("looks", "batch"), [(0, 16), (500, 16), (10_000, 32), (40_000, 128), (1e30, 256)])
def test_some_hundreds_of_steps_fit_into_a_run(looks, batch):
    assert pacing.fitting(looks, 10**6) == batch
    assert pacing.fitting(looks, 400) == min(batch, 32)
    assert batch in (16, 256) or looks / batch >= pacing.ENOUGH
    assert pacing.named(Plan(epochs=min(looks / 10**6 or 1e-9, 999_999_999)), 10**6) == batch


def test_training_gets_what_is_left_and_never_less_than_half():
    now = time.perf_counter()
    half = Budget(0.5, now - 6, after=4)
    assert half.training() == pytest.approx(20, abs=0.5)
    assert half.words() == "30 s: 6 s before, 20 s training, about 4 s judging"
    late = Budget(0.5, now - 40, after=5)
    assert late.training() == 15
    assert "about 30 s more than the 30 s asked for" in late.words()
    assert (Budget(None).training(), Budget(None).words()) == (0, "")


def test_the_first_steps_are_the_trial():
    assert [step for step in range(1, 101) if replanned(step, 400)] == [2, 4, 8, 16, 20, 32, 40, 60, 64, 80, 100]


def test_a_run_says_how_long_it_is_and_pins_what_it_chose(tmp_path):
    series, heard = waves(500)[0], Facts()
    run = kt.train({"series": series}, epochs=1, settings=QUICK, out=tmp_path / "run", logger=heard)
    rows = json.loads((run.path / "data.json").read_text())["train"]
    assert run.experiment.plan.batch == 16  # an epoch of so few rows is short
    assert heard.said["length"] == f"{rows // 16} steps of 16 rows, 1% of the rows seen".replace(
        "1%", f"{rows // 16 * 16 / rows:.0%}"
    )
    named = kt.train({"series": series}, steps=2, settings={**QUICK, "plan.batch": 10}, out=tmp_path / "named")
    assert named.experiment.plan.batch == 10
    plain = kt.train({"series": series}, steps=2, settings=QUICK, out=tmp_path / "plain")
    assert plain.experiment.plan.batch == 32


def test_minutes_hold_all_of_a_run_and_are_kept_where_it_goes_on(tmp_path, monkeypatch):
    from kontrast.runs.pipeline import pipeline

    heard, embed = Facts(), pipeline.Model.embed

    def slow(self, *given, **named):  # what comes before training takes its share
        time.sleep(0.5)
        return embed(self, *given, **named)

    monkeypatch.setattr(pipeline.Model, "embed", slow)
    run = kt.train({"series": waves(300)[0]}, minutes=0.1, settings=QUICK, out=tmp_path / "run", logger=heard)
    _, numbers = Folder(run.path).newest_checkpoint()
    words = heard.said["length"].split("\n")
    assert words[0].startswith("about ")
    assert " before, " in words[1]
    assert 3 <= numbers["allowed"] <= 4.1  # a second went by before, and another is foreseen for judging
    assert numbers["allowed"] <= numbers["seconds"] + 1
    assert run.experiment.plan.batch in (16, 32)
    assert numbers["step"] > 5


def test_bucketed_batches_hold_the_same_rows_of_about_one_length_and_follow_from_seed_and_epoch():
    lengths = np.random.default_rng(0).integers(1, 100, 70)
    order = np.random.default_rng(1).permutation(70)
    found = bucketed(order, lengths, 8, 4, 0, 0)
    assert sorted(found) == sorted(order)
    assert sorted(found[:32]) == sorted(order[:32])  # within their group
    spread = [np.ptp(lengths[found[k : k + 8]]) for k in range(0, 64, 8)]
    assert max(spread) < 60 < max(np.ptp(lengths[order[k : k + 8]]) for k in range(0, 64, 8))
    assert (found == bucketed(order, lengths, 8, 4, 0, 0)).all()
    assert (found != bucketed(order, lengths, 8, 4, 0, 1)).any()
    means = [lengths[found[k : k + 8]].mean() for k in range(0, 32, 8)]
    assert means != sorted(means) or means[::-1] != sorted(means)
    plain, sampler = (Shuffled(Sampled(order, 8, 3, None, None, lengths, n)) for n in (1, 4))
    rows = {row for step in range(plain.per_epoch) for row in plain.at(step)}
    assert rows == {row for step in range(sampler.per_epoch) for row in sampler.at(step)} or len(rows) == 64
    assert np.mean([np.ptp(lengths[sampler.sampled.rows.argsort()[sampler.at(s)]]) for s in range(8)]) < 40


def test_a_run_in_buckets_trains_and_is_refused_beside_a_balanced_sampler(tmp_path):
    texts = [" ".join(["red", "green", "blue"] * (n % 9 + 1)) + f" {n}" for n in range(80)]
    given = {"plan.buckets": 4, "plan.batch": 8, "scores": [], "plan.precision": "32"}
    run = kt.train({"text": texts}, steps=3, settings=given, out=tmp_path / "run")
    assert run.experiment.plan.buckets == 4
    with pytest.raises(UserError, match="Leave out one of the two"):
        kt.train({"text": texts}, steps=3, settings={**given, "plan.sampler": "balanced"}, out=tmp_path / "no")
