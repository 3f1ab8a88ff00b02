"""Each task of a run alone against all together: the same rows and steps, paired differences, shown in the report."""

import json

import numpy as np
import pytest
import torch

import kontrast as kt
from kontrast.core.choice import Choice
from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import TaskChoice
from kontrast.reporting.page.tasks import section
from kontrast.runs.comparison.alone import trainings
from kontrast.runs.comparison.alone_result import PAIRS, result
from kontrast.runs.folder.folder import Folder
from kontrast.runs.run import Run
from tests.support.command import call
from tests.support.finished_runs import written_run
from tests.support.series import waves
from tests.support.settings import FAST

TASKS = {"pairs": TaskChoice(Choice("simclr")), "kinds": TaskChoice(Choice("kcl"), weight=0.5)}
SMALL = {**FAST, "plan.batch": 32, "encoders.series": {"name": "tcn", "hidden": 8, "out": 16, "depth": 2}}
N = 50


def _written(path, noise, seed, pairs, **more):
    """A finished run with AUCs of the pairs of some tasks."""
    written_run(path, noise, seed, **more)
    folder = Folder(path)
    scores = (Choice("knn"), Choice("geometry"))
    folder.write("experiment.json", Experiment(tasks=TASKS, seed=seed, scores=scores).to_json())
    entries = {task: torch.from_numpy(value + 0.1 * np.random.default_rng(5).normal(size=N)) for task, value in pairs}
    folder.save_tensors("embeddings/trained-pairs.safetensors", entries)


@pytest.fixture
def together(tmp_path):
    _written(tmp_path / "run", 0.4, 3, [("pairs", 0.8), ("kinds", 0.7)])
    with (tmp_path / "run" / "metrics.jsonl").open("w") as out:
        out.write(json.dumps({"step": 1, "total": 8, "loss": 1.0}) + "\n")
    return Run(tmp_path / "run")


def _trained(made, seeds, gone=()):
    trained = []

    def train(arm, seed, path):
        trained.append((arm.name, seed))
        task = arm.settings.get("task")
        noise = {"pairs": 0.9, "kinds": 0.4, None: 0.4}[task]
        pairs = [(task, 0.6)] if task else [("pairs", 0.8), ("kinds", 0.7)]
        state = "collapsed" if task in gone else "learning"
        _written(path, noise, seed, pairs, state=state, causes=["no negatives"] if task in gone else ())

    made.run(train, lambda *_: None)
    return trained


def test_the_run_itself_is_all_tasks_together_with_its_seed(together):
    made = trainings(together, 2)
    assert _trained(made, 2) == [
        ("pairs alone", 3),
        ("kinds alone", 3),
        ("together", 4),
        ("pairs alone", 4),
        ("kinds alone", 4),
    ]
    assert (together.path / "alone" / "pairs-alone" / "seed-4" / "scores.json").is_file()
    assert _trained(trainings(together, 2), 2) == []


def test_differences_are_together_minus_alone_paired_by_row(together):
    made = trainings(together, 1)
    _trained(made, 1, gone=("pairs",))
    found = result(made)
    pairs, kinds = found.tasks
    lines = {line.name: (alone, line) for alone, line in pairs.lines}
    alone, line = lines["kNN accuracy"]
    assert line.verdict == "BETTER"
    assert line.difference == pytest.approx(line.value - alone.value)
    assert 0 < line.apart[0] < line.difference < line.apart[1]
    alone, line = lines[PAIRS]
    assert line.difference == pytest.approx(0.2)
    assert line.apart[1] - line.apart[0] < 1e-9  # equal rows differ equally
    assert pairs.words.startswith("kinds helped pairs: kNN accuracy ")
    assert pairs.words.endswith("Alone, pairs collapsed with 1 seed (no negatives).")
    assert kinds.words.startswith("pairs made no clear difference to kinds: kNN accuracy ")
    assert all(line.merit for one in found.tasks for _, line in one.lines)
    assert sum(words.startswith("  kNN accuracy") for words in found.words()) == 2


def test_the_section_of_the_report_says_which_task_helped_which_or_how_to_measure_it(together):
    made = trainings(together, 1)
    _trained(made, 1)
    shown = section([], result(made).to_json(), ["pairs", "kinds"])
    assert "kinds helped pairs" in shown
    assert "helped by the others" in shown
    hint = section([], {}, ["pairs", "kinds"], "runs/x<1")
    assert "<code>kontrast alone runs/x&lt;1</code> takes 2 further trainings" in hint
    assert section([], {}, ["pairs"]) == ""


def test_the_section_draws_losses_gradients_angles_and_factors():
    moments = [
        {
            "step": step,
            "terms": {"a.x": 1.0 / step, "a.y": 1.0, "<b>.x": 2.0},
            **({"norms": {"a": 3.0, "<b>": 4.0}, "cosines": {"a/<b>": -0.5}} if step == 1 else {}),
            "factors": {"a": 0.5 + step / 10, "<b>": 0.25},
        }
        for step in range(1, 5)
    ]
    shown = section(moments, {}, ["a", "<b>"])
    assert "<b>.x" not in shown
    for title in ("Loss of a", "Loss of &lt;b&gt;", "Factor of a", "Gradient of a", "Angle of a and &lt;b&gt;"):
        assert f"<b>{title}</b>" in shown
    assert "Loss of a: 2.00 at step 1, 1.25 at step 4" in shown
    assert "Factor of a: .600 at step 1, .900 at step 4" in shown


def test_a_run_of_one_task_and_an_unfinished_run_are_refused(together):
    with pytest.raises(UserError, match="has one task, contrast"):
        together.folder.write("experiment.json", Experiment().to_json())
        trainings(together, 1)
    together.folder.write("experiment.json", Experiment(tasks=TASKS).to_json())
    (together.path / "scores.json").unlink()
    with pytest.raises(UserError, match="was never finished"):
        trainings(together, 1)


@pytest.mark.slow
def test_a_run_of_two_tasks_is_compared_with_each_alone(tmp_path, capsys):
    x, kinds = waves(120, length=32)
    np.savez(tmp_path / "waves.npz", x=x.astype(np.float32), kind=kinds.astype(str))
    settings = {**SMALL, "scores": [{"name": "knn"}], "aggregator": "uncertainty"}
    run = kt.train(tmp_path / "waves.npz", tasks=TASKS, label="kind", epochs=1, settings=settings, out=tmp_path / "run")
    factors = [moment["factors"] for moment in run.folder.moments()]
    assert factors[0] == {"pairs": 0.5, "kinds": 0.5}
    assert factors[-1]["pairs"] != 0.5
    assert "kontrast alone" in (run.path / "report.html").read_text()
    assert call("alone", run.path, "--quiet") == 0
    told = capsys.readouterr().out
    assert "kinds" in told
    assert PAIRS in told
    alone = Run(run.path / "alone" / "kinds-alone" / "seed-0")
    assert list(alone.experiment.tasks) == ["kinds"]
    assert alone.experiment.tasks["kinds"].weight == 1
    assert len(alone.folder.moments()) == len(run.folder.moments())
    assert list(alone.embeddings("trained-test").ids) == list(run.embeddings("trained-test").ids)
    assert "Each task alone against all together" in (run.path / "report.html").read_text()
