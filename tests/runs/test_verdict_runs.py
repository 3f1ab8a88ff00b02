"""The verdict on real runs of methods that are not InfoNCE: who learns is never called a standstill, harm is seen."""

import json
from html import unescape

import numpy as np
import pytest
from safetensors.numpy import load_file

import kontrast as kt
from kontrast.core.errors import Interrupted
from kontrast.reporting.logger import Logger
from tests.support.journeys import Hand
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.slow

SMALL = {"series": {"name": "tcn", "hidden": 16, "out": 32, "depth": 3}}


class Ear(Logger):
    def __init__(self):
        self.facts = {}

    def fact(self, name, words):
        self.facts[name] = words


def rows(*, label):
    x, kinds = waves(240)
    return {"x": x.astype(np.float32), **({"kind": kinds} if label else {})}


def trained(out, recipe, *, steps=60, label=None, logger=None, **settings):
    data = rows(label=label)
    given = {**FAST, "plan.learning_rate": 3e-3, **settings}
    return kt.train(
        data,
        recipe=f"tests.support.verdict_methods:{recipe}",
        label=label,
        encoders=SMALL,
        steps=steps,
        settings=given,
        out=out,
        logger=logger,
    )


@pytest.mark.parametrize(("recipe", "label"), [("supervised", "kind"), ("without_negatives", None)])
def test_a_method_without_a_chance_level_that_learns_is_said_to_learn(tmp_path, recipe, label):
    run = trained(tmp_path / "run", recipe, label=label)
    assert run.verdict["state"] == "learning", run.verdict["words"]
    names = [measure["name"] for measure in run.verdict["measures"]]
    assert names[-1] == "AUC of positive against random pairs"
    assert ("linear accuracy" in names) == (label is not None)


def test_pairs_of_one_class_are_no_random_pairs_of_a_method_that_makes_them_positives(tmp_path):
    """SupCon by its recipe: with classes pulled together, two views are hardly nearer than rows of the class."""
    x, kinds = waves(240)
    data = {"x": x.astype(np.float32), "kind": kinds}
    given = {**FAST, "plan.learning_rate": 3e-3}
    run = kt.train(data, recipe="supcon", label="kind", encoders=SMALL, steps=60, settings=given, out=tmp_path / "run")
    assert run.verdict["state"] == "learning", run.verdict["words"]
    auc = run.verdict["measures"][-1]
    assert auc["name"] == "AUC of positive against random pairs"
    assert auc["trained"] > 0.9


def test_harm_is_seen_and_said_in_the_same_sentence_everywhere(tmp_path):
    ear = Ear()
    run = trained(tmp_path / "run", "spoiling", logger=ear)
    sentence = run.verdict["words"]
    assert run.verdict["state"] == "harm"
    assert sentence.startswith("Training did harm, in too short a run: 60 steps are too few to tell")
    assert ear.facts["verdict"].splitlines()[0] == sentence
    assert json.loads((run.path / "scores.json").read_text())["verdict"]["words"] == sentence
    for page in ((run.path / "report.html").read_text(), run._repr_html_()):
        head, rest = sentence.split(": ", 1)
        assert page.index(f"{head}:") < unescape(page).index(rest)
    assert "--keep best-by-validation" in ear.facts["verdict"]


def test_the_best_state_is_kept_the_start_among_them_and_a_resumed_run_keeps_the_same(tmp_path):
    keep = {"plan.keep": "best-by-validation"}
    run = trained(tmp_path / "run", "spoiling", steps=20, **keep)
    assert "the untrained start was kept, the best of 11 by the AUC of their pairs on" in run.verdict["words"]
    assert run.verdict["state"] == "too short"  # what is kept is no worse than the start: it is the start
    assert run.verdict["offer"] == ""
    assert [file.name for file in (run.path / "checkpoints").glob("kept-*")] == ["kept-000000000.safetensors"]
    np.testing.assert_array_equal(run.embeddings("trained-test").z["x"], run.embeddings("untrained-test").z["x"])

    whole = trained(tmp_path / "whole", "without_negatives", label="kind", steps=20, **keep)
    with pytest.raises(Interrupted):
        trained(tmp_path / "cut", "without_negatives", label="kind", steps=20, logger=Hand(7), **keep)
    cut = kt.resume(tmp_path / "cut", data=rows(label=True), trust_code=True)
    assert "by linear accuracy on" in whole.verdict["words"]
    assert cut.verdict == whole.verdict
    kept, again = ((r.path / "checkpoints" / "kept.json").read_text() for r in (whole, cut))
    assert kept == again
    assert [step for step, _ in json.loads(kept)] == list(range(0, 21, 2))
    one, two = (load_file(r.path / "encoder" / "model.safetensors") for r in (whole, cut))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
