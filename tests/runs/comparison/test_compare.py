"""Comparing runs: the same rows for both, intervals that tell truth from luck, and refusals where rows differ."""

import json
import shutil

import numpy as np
import pytest

from kontrast import api
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.evaluation.intervals import Found, apart, find_all, interval
from kontrast.evaluation.knn import KNN
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.retrieval import Retrieval
from kontrast.runs.comparison.compare import compare, line
from kontrast.runs.comparison.comparison_page import page, write_comparison
from kontrast.runs.comparison.replay import begin, same
from kontrast.runs.run import Run
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data():
    x, kinds = waves(210)
    split = np.where(np.arange(210) < 140, "train", "test")
    return {"x": x.astype(np.float32), "kind": kinds.astype(str), "split": split}


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """Two seeds on equal rows (the split is the data's), 8 steps each."""
    folder = tmp_path_factory.mktemp("runs")
    small = {"series": {"name": "tcn", "hidden": 16, "out": 32, "depth": 2}}
    return [
        api.train(data, label="kind", encoders=small, steps=8, seed=seed, settings=FAST, out=folder / f"seed-{seed}")
        for seed in (0, 1)
    ]


def copied(run, folder, name):
    return Run(shutil.copytree(run.path, folder / name))


def rebanked(run, part, change):
    """The same run with another bank."""
    path = run.path / "embeddings" / f"{part}.parquet"
    change(EmbeddingTable.load(path)).save(path)
    return run


# ---- the interval


def means(x):
    return Found(MetricResult.mean(x, alone=True, chance=0.5, bounds=(-np.inf, np.inf)))


def test_the_paired_interval_of_means_is_that_of_the_differences():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=300)
    one, two = hard + 0.1 * rng.normal(size=300), hard + 0.1 + 0.1 * rng.normal(size=300)
    value, low, high = apart(means(one), means(two))
    reach = 1.96 * (two - one).std(ddof=1) / np.sqrt(300)
    assert value == pytest.approx(two.mean() - one.mean())
    assert (low, high) == pytest.approx((value - reach, value + reach), abs=reach / 8)
    one_low, one_high = interval(means(one))
    assert high - low < (one_high - one_low) / 4  # rows are hard for both: paired is far narrower
    with pytest.raises(UserError, match="same rows"):
        apart(means(one), means(two[:50]))


def clouds(seed, noise=0.6, n=240):
    """Train and test bank of four classes as two encoders see them: what is hard is hard for both."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, n)
    common = np.eye(8)[label] + 0.4 * rng.normal(size=(n, 8))
    made = []
    for more in (0.4, noise):
        z = common + more * rng.normal(size=(n, 8))
        z = (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)
        bank = EmbeddingTable({"x": z}, np.arange(n).astype(str), label.astype(str))
        made.append((bank.take(np.arange(n // 2)), bank.take(np.arange(n // 2, n))))
    return made


def told(seed, noise, *scores):
    one, two = (find_all(scores, *banks) for banks in clouds(seed, noise))
    return {name: line(name, one[name], two[name]) for name in one}


def test_equally_good_encoders_are_told_apart_in_about_one_of_twenty():
    tellings = [told(seed, 0.4, KNN(), Retrieval()) for seed in range(60)]
    for name in ("kNN accuracy", "mAP"):  # rows alone, and rows that are each other's candidates
        share = np.mean([lines[name].verdict != "SAME" for lines in tellings])
        assert share <= 0.15, (name, share)  # 5 % expected, 2.8 % its standard deviation; candidates held fixed: 30 %
    widths = [lines["mAP"].high - lines["mAP"].low for lines in tellings]
    spread = 2 * 1.96 * np.std([lines["mAP"].difference for lines in tellings])
    assert 0.8 < np.mean(widths) / spread < 1.6  # no wider than it must be


def test_a_better_encoder_is_better_and_a_worse_one_worse():
    worse = told(0, 1.5, KNN(), Retrieval())
    better = told(0, 0.05, KNN(), Retrieval())
    assert {worse[name].verdict for name in ("kNN accuracy", "mAP", "MAP@R")} == {"WORSE"}
    assert {better[name].verdict for name in ("mAP", "MAP@R")} == {"BETTER"}


def test_lower_can_be_better_and_what_describes_is_higher_or_lower():
    one, two = np.linspace(0, 1, 50), np.linspace(0, 1, 50) - 0.5
    made = [Found(MetricResult.mean(x, alone=True, chance=2.0, higher_is_better=False)) for x in (one, two)]
    assert line("alignment", *made).verdict == "BETTER"
    assert line("spread", *(Found(MetricResult.mean(x, alone=True)) for x in (one, two))).verdict == "LOWER"


# ---- whole runs


def test_a_run_against_itself_is_the_same_in_everything(runs, tmp_path):
    made = compare([runs[0], copied(runs[0], tmp_path, "copy")])
    (pair,) = made.pairs
    assert len(pair.lines) > 5
    assert {(x.verdict, x.difference, x.low, x.high) for x in pair.lines} == {("SAME", 0.0, 0.0, 0.0)}
    assert pair.changed == ()


def test_two_runs_meet_on_their_shared_rows_and_say_what_was_changed(runs):
    made = compare(runs)
    assert made.rows == 70
    (pair,) = made.pairs
    assert pair.changed == ("seed: 0 -> 1",)
    assert pair.first.name == "kNN accuracy"
    values = {row["name"]: row["trained"]["value"] for row in runs[1].scores if row["trained"]}
    assert {x.name: pytest.approx(values[x.name]) for x in pair.lines} == {x.name: x.two for x in pair.lines}
    words = list(made.words())
    assert any(word.startswith(pair.first.verdict) and "seed-1 against seed-0" in word for word in words)
    assert "by luck" in words[-1]
    assert f"seed-1: {runs[1].verdict['words']}" in words
    assert json.loads(json.dumps(made.to_json()))["pairs"][0]["numbers"][0]["name"] == "kNN accuracy"


def test_several_runs_stand_against_the_first_or_every_pair(runs, tmp_path):
    three = [*runs, copied(runs[1], tmp_path, "third")]
    assert [(p.one, p.two) for p in compare(three, scores=["knn"]).pairs] == [(0, 1), (0, 2)]
    made = compare(three, every_pair=True, scores=["knn"])
    assert [(p.one, p.two) for p in made.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert {x.verdict for x in made.pairs[2].lines} == {"SAME"}


def test_rows_that_only_one_run_held_out_are_left_out_and_counted(runs, tmp_path):
    fewer = rebanked(copied(runs[1], tmp_path, "fewer"), "trained-test", lambda b: b.take(np.arange(60)[::-1]))
    made = compare([runs[0], fewer], scores=["knn"])
    assert made.rows == 60
    assert any("seed-0: 60 of its 70" in note for note in made.shared.notes)


def test_runs_without_a_common_row_are_refused(runs, tmp_path):
    other = rebanked(
        copied(runs[1], tmp_path, "other"),
        "trained-test",
        lambda b: EmbeddingTable(b.z, np.char.add("new ", b.ids), b.labels, b.metadata, b.shared),
    )
    with pytest.raises(UserError, match="share no held-out rows"):
        compare([runs[0], other])


def marked(run):
    """As of other data: its fingerprint is another."""
    path = run.path / "data.json"
    path.write_text(path.read_text().replace('"content": "', '"content": "other'))
    return run


def test_equal_ids_with_other_labels_are_refused(runs, tmp_path):
    other = marked(copied(runs[1], tmp_path, "other"))
    rebanked(other, "trained-test", lambda b: EmbeddingTable(b.z, b.ids, np.roll(b.labels, 1), b.metadata, b.shared))
    with pytest.raises(UserError, match=r"different data: row '.*' has the label"):
        compare([runs[0], other])


def test_equal_ids_with_other_values_are_refused_and_the_same_values_are_not(runs, tmp_path):
    other = marked(copied(runs[1], tmp_path, "other"))
    assert "raw features agree" in compare([runs[0], other], scores=["knn"]).shared.notes[-1]
    rebanked(
        other,
        "raw-test",
        lambda b: EmbeddingTable({k: np.roll(z, 3, 0) for k, z in b.z.items()}, b.ids, b.labels, b.metadata, b.shared),
    )
    with pytest.raises(UserError, match="same ids but not the same values"):
        compare([runs[0], other])


def test_what_cannot_be_compared_is_said(runs, tmp_path):
    with pytest.raises(UserError, match="two runs or more"):
        compare(runs[:1])
    with pytest.raises(UserError, match="level=1"):
        compare(runs, level=1.0)
    with pytest.raises(UserError, match="not evaluated by 'knm'"):
        compare(runs, scores=["knm"])
    begun = copied(runs[0], tmp_path, "begun")
    shutil.rmtree(begun.path / "embeddings")
    with pytest.raises(UserError, match="no embeddings"):
        compare([runs[0], begun])


def test_the_page_holds_all_maps_of_the_same_rows_and_escapes_names(runs, tmp_path):
    evil = copied(runs[1], tmp_path, "<b>evil & co")
    made = compare([runs[0], evil], scores=["knn"])
    text = page(made)
    assert "&lt;b&gt;evil &amp; co" in text
    assert "<b>evil & co" not in text
    maps = [json.loads(text.split(f'id="map-{n}-data">')[1].split("</script>")[0]) for n in (0, 1)]
    assert maps[0]["ids"] == maps[1]["ids"]
    assert len(maps[0]["ids"]) == 70
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert write_comparison(made, tmp_path / "c.html").read_text() == text  # the same bytes each time


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_row_pointed_at_on_one_map_is_marked_on_the_other(runs, tmp_path):
    from playwright.sync_api import sync_playwright

    path = write_comparison(compare(runs, scores=["knn"]), tmp_path / "c.html")
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        heard: list[str] = []
        tab.on("pageerror", lambda error: heard.append(str(error)))
        tab.on("request", lambda asked: asked.url.startswith("data:") or heard.append(asked.url))
        tab.goto(path.as_uri())
        tab.evaluate("document.querySelector('.map').scrollIntoView({block: 'center', behavior: 'instant'})")
        tab.wait_for_timeout(150)
        pixels = "n => document.querySelector(`#map-${n} canvas`).toDataURL()"
        before = tab.evaluate(pixels, 1)
        box = tab.locator("#map-0 canvas").bounding_box()
        met = False
        for n in range(4_000):  # over the map until a point answers
            if met := tab.locator("#map-0 .tip").is_visible():
                break
            at = n * 14
            x, y = 20 + at % (box["width"] - 40), 20 + 14 * (at // (box["width"] - 40))
            tab.mouse.move(box["x"] + x, box["y"] + y)
        assert met
        tab.wait_for_timeout(100)
        assert tab.evaluate(pixels, 1) != before
        tab.mouse.move(5, 5)
        tab.wait_for_timeout(100)
        assert tab.evaluate(pixels, 1) == before
        browser.close()
    assert heard == [path.as_uri()]


# ---- replay


def test_a_replay_gives_the_same_weights_and_scores_and_refuses_other_rows(runs, data, tmp_path):
    again = api.resume(begin(runs[0], tmp_path / "again").path, data=data)
    found = same(runs[0], again)
    assert found.identical, list(found.words())
    with pytest.raises(UserError, match="changed"):
        api.resume(begin(runs[0], tmp_path / "other").path, data={**data, "x": data["x"] + 1})


def test_a_replay_that_differs_says_where_first(runs):
    found = same(*runs)
    assert not found.identical
    assert found.step == 1
    assert found.largest > 0
    assert found.scores
    assert found.changed == ("seed: 0 -> 1",)
    assert any("differ from step 1 on" in word for word in found.words())
    assert json.loads(json.dumps(found.to_json()))["identical"] is False


def test_a_replay_of_minutes_takes_the_steps_that_they_were(runs, tmp_path):
    timed = copied(runs[0], tmp_path, "timed")
    file = timed.path / "experiment.json"
    file.write_text(
        file.read_text().replace('"steps": 8', '"steps": null').replace('"minutes": null', '"minutes": 0.1')
    )
    plan = begin(timed, tmp_path / "again").experiment().plan
    assert (plan.minutes, plan.steps) == (None, 8)


def test_only_a_finished_run_is_replayed(runs, tmp_path):
    begun = copied(runs[0], tmp_path, "begun")
    (begun.path / "scores.json").unlink()
    with pytest.raises(UserError, match="never finished"):
        begin(begun, tmp_path / "again")
