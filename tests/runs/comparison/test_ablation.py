"""Ablations: arms and seeds are trained once and compared over seeds and rows; collapses are named with their cause."""

import json

import numpy as np
import pytest

from kontrast.core.errors import UserError
from kontrast.runs.comparison.ablation import Ablation
from kontrast.runs.comparison.ablation_page import markdown, page, write_ablation
from kontrast.runs.comparison.ablation_result import result
from kontrast.runs.comparison.swap import Arm, arms
from tests.support.command import call
from tests.support.finished_runs import written_run
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.quick

BEGUN = {"recipe": "simclr", "data": "waves", "steps": 8}


def _ablation(path, swaps=("tasks.contrast.noise=0.3,9.0",), seeds=(0, 1, 2)):
    return Ablation(path, arms("simclr", swaps, json.loads), seeds, BEGUN)


def _train(arm, seed, path):
    noise = arm.settings.get("tasks.contrast.noise", 0.8)
    gone = noise == 9.0
    written_run(path, noise, seed, "collapsed" if gone else "learning", ["no stop-gradient"] if gone else ())


@pytest.fixture(scope="module")
def ablated(tmp_path_factory):
    made = _ablation(tmp_path_factory.mktemp("runs") / "ablation")
    heard = []
    made.run(_train, lambda arm, seed, words: heard.append((arm.name, seed, words)))
    return made, heard, result(made)


def test_every_arm_is_trained_with_every_seed_the_first_seed_of_all_first(ablated):
    made, heard, _ = ablated
    assert [(name, seed) for name, seed, _ in heard[:4]] == [
        ("simclr", 0),
        ("noise=0.3", 0),
        ("noise=9.0", 0),
        ("simclr", 1),
    ]
    assert len(heard) == 9
    assert (made.path / "noise-0.3" / "seed-2" / "scores.json").is_file()


def test_arms_are_better_or_collapsed_with_the_cause(ablated):
    base, better, gone = ablated[2].outcomes
    assert (base.verdict, better.verdict, gone.verdict) == ("", "BETTER", "COLLAPSED")
    assert gone.why == "in 3 of 3 seeds: no stop-gradient"
    lead = better.lines[0]
    assert lead.name == "kNN accuracy"
    assert lead.value == pytest.approx(np.mean(lead.each))
    assert lead.apart[0] > 0
    assert lead.difference == pytest.approx(lead.value - base.lines[0].value)
    assert {line.name for line in base.lines if not line.merit} >= {"uniformity", "effective rank"}


def test_finished_runs_are_not_trained_again_and_arms_and_seeds_may_be_added(ablated, tmp_path):
    made = ablated[0]
    more = _ablation(made.path, ("tasks.contrast.noise=0.3,9.0,0.8",), (0, 1, 2, 3))
    trained = []

    def train(arm, seed, path):
        trained.append((arm.name, seed))
        _train(arm, seed, path)

    more.run(train, lambda *_: None)
    assert sorted(trained) == sorted([("noise=0.8", seed) for seed in (0, 1, 2)] + [(arm.name, 3) for arm in more.arms])
    same = result(more).outcomes[3]
    assert same.verdict == "SAME"
    assert same.lines[0].difference == 0


def test_another_ablation_in_the_same_folder_is_refused(tmp_path):
    _ablation(tmp_path / "a", seeds=(0,)).run(_train, lambda *_: None)
    other = Ablation(tmp_path / "a", arms("simclr", ["b=1"], json.loads), (0,), {**BEGUN, "steps": 9})
    with pytest.raises(UserError, match=r"holds another ablation: steps 8, now 9\. Repeat that one"):
        other.run(_train, lambda *_: None)
    with pytest.raises(UserError, match="holds another ablation: another 'noise"):
        Ablation(tmp_path / "a", [Arm("simclr", "simclr"), Arm("noise=0.3", "clip")], (0,), BEGUN).run(_train, print)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty and holds no ablation"):
        _ablation(tmp_path / "b").run(_train, print)


def test_an_arm_that_diverges_is_reported_and_one_that_cannot_begin_ends_the_ablation(tmp_path):
    made = _ablation(tmp_path / "a", ("b=1",))
    tried = []

    def diverges(arm, seed, path):
        if arm.name == "simclr":
            return _train(arm, seed, path)
        tried.append(seed)
        path.mkdir(parents=True)
        (path / "metrics.jsonl").write_text("{}\n")
        raise UserError("step 3: loss nan")

    for _ in range(2):  # a second call does not try again
        made.run(diverges, lambda *_: None)
    assert tried == [0, 1, 2]
    failed = result(made).outcomes[1]
    assert (failed.verdict, failed.why, failed.lines) == ("FAILED", "in 3 of 3 seeds: step 3: loss nan", ())

    def refused(arm, seed, path):
        raise UserError("no setting 'b'")

    with pytest.raises(UserError, match="b=2, seed 0: no setting 'b'"):
        _ablation(tmp_path / "a", ("b=2",)).run(refused, lambda *_: None)


def test_without_labels_the_auc_of_positive_pairs_leads_with_its_interval_over_seeds(tmp_path):
    made = _ablation(tmp_path / "a", ("tasks.contrast.noise=0.3",))

    def train(arm, seed, path):
        written_run(path, arm.settings.get("tasks.contrast.noise", 0.8), seed, labels=False)

    made.run(train, lambda *_: None)
    base, arm = result(made).outcomes
    assert arm.lines[0].name == "AUC of positive pairs"
    assert base.lines[0].value == pytest.approx(0.83)
    assert base.lines[0].high - 0.83 == pytest.approx(4.302653 * 0.01 / np.sqrt(3), rel=1e-5)
    assert arm.lines[0].difference == pytest.approx(0.05)
    assert arm.verdict == "BETTER"


def test_the_result_is_written_as_markdown_json_and_a_page(ablated, tmp_path):
    made = ablated[2]
    files = write_ablation(made, tmp_path, "kontrast ablate simclr --swap <x>")
    assert [file.name for file in files] == ["ablation.md", "ablation.json", "ablation.html"]
    text = markdown(made, "kontrast ablate simclr")
    assert "- `noise=9.0` collapsed in 3 of 3 seeds: no stop-gradient\n" in text
    assert "| kNN accuracy | difference | verdict |" in text
    read = json.loads(files[1].read_text())
    assert [one["verdict"] for one in read["outcomes"]] == ["", "BETTER", "COLLAPSED"]
    assert read["outcomes"][1]["lines"][0]["verdict"] == "BETTER"
    html = page(made, "kontrast ablate simclr --swap <x>")
    assert "&lt;x&gt;" in html
    assert "noise=9.0" in html
    said = list(made.words())
    assert any("COLLAPSED  noise=9.0" in line for line in said)


@pytest.mark.slow
def test_simsiam_without_its_stop_gradient_is_reported_as_collapsed_with_that_cause(tmp_path, capsys):
    x, kinds = waves(200)
    np.savez(tmp_path / "waves.npz", x=x.astype(np.float32), kind=kinds.astype(str))
    words = ["ablate", "simsiam", "--data", tmp_path / "waves.npz", "--swap", "tasks.contrast.stop_gradient=false"]
    words += ["--label", "kind", "--seeds", "1", "--steps", "40", "--out", tmp_path / "runs"]
    words += ["--encoder", "series=tcn,hidden=16,out=32,depth=3", "--set", 'scores=[{"name": "knn"}]']
    same = {
        **FAST,
        "plan.precision": '"32"',
        "plan.learning_rate": 0.01,
        **{f"tasks.contrast.{name}": 64 for name in ("width", "hidden")},
    }
    for name, value in same.items():
        words += ["--set", f"{name}={value}"]
    assert call(*words) == 0
    told = capsys.readouterr().out
    assert "COLLAPSED  stop_gradient=false" in told
    assert "in 1 of 1 seed: stop_gradient=false: without a stop-gradient" in told
    before = (tmp_path / "runs" / "simsiam" / "seed-0" / "scores.json").stat().st_mtime_ns
    assert call(*words, "--quiet") == 0  # goes on: nothing is left to train
    assert (tmp_path / "runs" / "simsiam" / "seed-0" / "scores.json").stat().st_mtime_ns == before
    assert (tmp_path / "runs" / "ablation.md").read_text(encoding="utf8").startswith("# Ablation of simsiam\n")
