"""The table of scores: trained beside raw and untrained, and a judge that finds nothing says why."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kontrast.core import factory, registry
from kontrast.core.errors import UserError
from kontrast.evaluation.clustering import Clustering
from kontrast.evaluation.evaluate import evaluate
from kontrast.evaluation.geometry import Geometry
from kontrast.evaluation.knn import KNN
from kontrast.evaluation.linear import Linear
from kontrast.evaluation.retrieval import Retrieval
from tests.support.banks import bank, several

pytestmark = pytest.mark.quick

JUDGES = [KNN(), Linear(strengths=(0.01, 0.1)), Retrieval(), Clustering(), Geometry()]
EVERY = [
    *JUDGES,
    *(
        factory.build("evaluators", name, {})
        for name in registry.kinds("evaluators")
        if registry.load("evaluators", name) not in map(type, JUDGES)
    ),
]


def test_fields_are_judged_each_and_whole_over_the_rows_that_have_them():
    train, test = several(60), several(50, seed=1, prefix="t")
    found = KNN()(train, test)
    assert {name: e.field for name, e in found.items()} == {
        "kNN accuracy": None,
        "google kNN accuracy": "google",
        "twitter kNN accuracy": "twitter",
    }
    known = test.labels != ""
    assert found["google kNN accuracy"].rows == (test.has("google") & known).sum()
    assert found["kNN accuracy"].rows == ((test.has("google") | test.has("twitter")) & known).sum()


@pytest.mark.parametrize(
    ("labels", "reason"), [(None, "no labels"), (["a"] * 30, "one class only"), ([""] * 30, "no labelled")]
)
def test_a_judge_that_cannot_judge_says_why(labels, reason):
    test = bank(np.random.default_rng(0).normal(size=(30, 4)), labels)
    for score in (KNN(), Linear(), Retrieval(), Clustering()):
        assert score(test, test) == {}
        assert reason in score.why_not(test, test)
    assert Geometry().why_not(test, test) is None
    assert len(Geometry()(test, test)) == 3
    assert Geometry().why_not(test, test.take(np.arange(1))) == "fewer than two test rows"


@pytest.mark.parametrize("score", EVERY, ids=lambda s: type(s).__name__)
def test_a_judge_finds_nothing_exactly_where_it_has_a_reason(score):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 4))
    gone = z.copy()
    gone[:6] = 0
    for labels in (None, ["a"] * 12, [""] * 12, list("aaaaaabbbbbb"), list("abcdefghijkl"), ["a"] + [""] * 11):
        for fields in ({"x": z}, {"x": gone}, {"x": z, "y": gone}, {"x": gone, "y": z[:, :3]}, {"x": z * 0}):
            test = bank(fields, labels)
            assert (score(test, test) == {}) == (score.why_not(test, test) is not None), (labels, list(fields))


def three(shared=True):
    raw = (several(60, shared=False, noise=2), several(50, seed=1, prefix="t", shared=False, noise=2))
    trained = (several(60, shared=shared), several(50, seed=1, prefix="t", shared=shared))
    return {"trained": trained, "untrained": trained, "raw": raw}


def test_the_table_sets_trained_beside_raw_and_untrained_and_is_json():
    table = evaluate(JUDGES, three(), seed=1)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    by_name = {row["name"]: row for row in table}
    row = by_name["google>twitter R@1"]
    assert (row["score"], row["field"], row["higher_is_better"], row["reason"]) == (
        "retrieval",
        "google>twitter",
        True,
        None,
    )
    assert row["chance"] == pytest.approx(1 / 40)
    assert row["trained"] == row["untrained"]
    assert row["raw"]["value"] < row["trained"]["value"]
    assert row["raw"]["low"] <= row["raw"]["value"] <= row["raw"]["high"]
    assert by_name["google>twitter alignment"]["higher_is_better"] is False
    assert len(by_name) == len(table)
    again = evaluate(JUDGES[2:3], three(), seed=1)
    assert again == [row for row in table if row["score"] == "retrieval"]


def test_raw_features_of_another_width_have_no_number_between_fields():
    banks = three()
    banks["raw"] = tuple(replace(b, z={**b.z, "twitter": b.z["twitter"][:, :4]}) for b in banks["raw"])
    table = {row["name"]: row for row in evaluate([Retrieval()], banks)}
    assert table["google>twitter R@1"]["raw"] is None
    assert table["mAP"]["raw"] is not None


def test_fields_of_a_trained_encoder_are_compared_only_in_one_space():
    assert [row["name"] for row in evaluate([Retrieval()], three(shared=False))] == ["mAP", "MAP@R"]
    unlabelled = {which: tuple(replace(b, labels=None) for b in pair) for which, pair in three(shared=False).items()}
    (row,) = evaluate([Retrieval()], unlabelled)
    assert (row["reason"], row["trained"]) == ("the fields do not share one space", None)


def test_the_table_says_why_a_judge_does_not_apply():
    test = bank(np.random.default_rng(0).normal(size=(30, 4)), ["a"] * 30)
    (row,) = evaluate([Clustering()], {"trained": (test, test)})
    assert (row["name"], row["reason"], row["rows"], row["trained"]) == ("clustering", "one class only", 30, None)


def test_banks_that_do_not_fit_are_refused_in_words():
    test = bank(np.eye(3))
    with pytest.raises(UserError, match="expected 'trained'"):
        evaluate(JUDGES, {"raw": (test, test)})
    with pytest.raises(UserError, match="train has image, test has text"):
        evaluate(JUDGES, {"trained": (test, replace(test, z={"text": test.z["image"]}))})


def test_the_folder_lists_the_judges():
    assert set(registry.rooms()["evaluators"]) >= {"knn", "linear", "retrieval", "clustering", "geometry", "spearman"}
    assert isinstance(factory.build("evaluators", "retrieval", {"ks": [1, 3]}), Retrieval)
