"""What a report claims, and how it writes numbers: never more than the intervals carry."""

from dataclasses import replace

import pytest

from kontrast.core.number_format import clock, interval, number, round_number
from kontrast.evaluation.standing import standing
from kontrast.evaluation.verdict import Measure, claim, of_older, verdict
from kontrast.reporting.page.charts import ticks
from kontrast.reporting.report import page
from kontrast.training.health import Health, collapse
from tests.support.report_stories import score, story

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *[(0.742, ".742"), (-0.0421, "-.042"), (0.9999, "1.00"), (4.312, "4.31"), (71.23, "71.2"), (1240.4, "1,240")],
        *[
            (9.999, "10.0"),
            (1240, "1,240"),
            (0, "0"),
            (0.0, "0"),
            (0.00002, "2.0e-05"),
            (None, "–"),
            (float("nan"), "–"),
            (-0.5, "-.500"),
        ],
    ],
)
def test_numbers_have_three_digits_and_no_leading_zero(given, said):
    assert number(given) == said


def test_an_interval_shows_its_width():
    assert interval(0.691, 0.789) == "[.69, .79]"
    assert interval(0.741, 0.744) == "[.741, .744]"
    assert interval(0.004, 0.02) == "[.004, .020]"
    assert interval(-1.995, -1.943) == "[-2.00, -1.94]"
    assert interval(None, 0.7) == interval(float("nan"), 0.7) == ""


def test_axis_marks_and_times_are_short():
    assert [round_number(x) for x in (0.5, 40.0, 1.0, 0.0, -2.5)] == [".5", "40", "1", "0", "-2.5"]
    assert [clock(s) for s in (4.21, 42, 130, 7200)] == ["4.2 s", "42 s", "2:10 min", "2:00 h"]
    assert ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_better_is_said_only_where_intervals_are_apart():
    assert standing(score(0.7, raw=0.5), "raw") == "better"
    assert standing(score(0.7, raw=0.65), "raw") == "even"
    assert standing(score(0.5, raw=0.7), "raw") == "worse"
    assert standing(score(0.7), "raw") is None


def test_lower_can_be_better():
    assert standing(score(0.3, raw=0.6, higher_is_better=False), "raw") == "better"
    assert standing(score(0.6, raw=0.3, higher_is_better=False), "raw") == "worse"


def test_paired_differences_decide_where_there_are_any():
    paired = {"raw": {"value": 0.03, "low": 0.01, "high": 0.05}}
    assert standing(score(0.70, raw=0.67, paired=paired), "raw") == "better"
    assert standing(score(0.70, raw=0.67, paired={"raw": {"value": 0, "low": -0.1, "high": 0.1}}), "raw") == "even"


def test_without_an_interval_nothing_is_claimed():
    assert standing(score(0.9, raw=0.1) | {"trained": {"value": 0.9, "low": None, "high": None}}, "raw") == "even"


def pairs(trained, untrained, reach=0.02, rows=300):
    difference = trained - untrained
    name = "AUC of positive against random pairs"
    return Measure(name, trained, untrained, difference - reach, difference + reach, rows, 0.002)


def probe(trained, untrained, name="linear", reach=0.02, **more):
    difference = trained - untrained
    paired = {"untrained": {"value": difference, "low": difference - reach, "high": difference + reach}}
    told = {"linear": "linear accuracy", "knn": "kNN accuracy"}[name]
    return score(trained, untrained=untrained, name=told, score=name, paired=paired, **more)


def judged(scores=(), pairs=None, collapsed=False, **more):
    return verdict(scores, pairs=pairs, collapsed=collapsed, **more)


@pytest.mark.parametrize(
    ("scores", "auc", "state"),
    [
        ([], pairs(0.95, 0.8), "learning"),
        ([], pairs(0.80, 0.8), "nothing added"),
        ([], pairs(0.70, 0.8), "harm"),
        ([], pairs(0.9999, 0.9990, reach=0.0001), "nothing added"),  # certain, and next to nothing
        ([], None, "not evaluated"),
        ([probe(0.90, 0.8)], pairs(0.8, 0.8), "learning"),
        ([probe(0.80, 0.8)], pairs(0.95, 0.8), "learning"),
        ([probe(0.70, 0.8)], pairs(0.95, 0.8), "harm"),
        ([probe(0.90, 0.8)], pairs(0.70, 0.8), "learning"),
        ([probe(0.816, 0.894), probe(0.823, 0.786, "knn")], pairs(0.95, 0.8), "harm"),
        ([probe(0.88, 0.90, reach=0.01), probe(0.9, 0.786, "knn")], pairs(0.95, 0.8), "learning"),
        ([probe(0.70, 0.8, field="image")], pairs(0.95, 0.8), "learning"),  # of a field, not of whole rows
    ],
)
def test_probes_decide_then_pairs(scores, auc, state):
    assert judged(scores, auc).state == state


def test_the_sentence_leads_with_the_number_that_decides():
    found = judged([probe(0.823, 0.786, "knn"), probe(0.816, 0.894)], pairs(0.95, 0.8), causes=("x",))
    head, rest = claim(found.words)
    assert head == "Training did harm:"
    assert rest.startswith(
        "on 307 held-out rows, linear accuracy .816 against .894 untrained (-.078 [-.10, -.06]), kNN"
    )
    assert "AUC of positive against random pairs .950 against .800 untrained (+.150 [.13, .17])" in rest
    assert found.causes == ("x",)
    assert "--keep best-by-validation" in found.offer


def test_learning_has_no_causes_and_says_how_raw_features_stand():
    found = judged([probe(0.9, 0.8)], pairs(0.95, 0.8), causes=("x",))
    assert (found.causes, found.offer, claim(found.words)[0]) == ((), "", "It learned:")
    assert claim(judged([probe(0.9, 0.8, raw=0.6)]).words)[0] == "It learned:"
    assert claim(judged([probe(0.9, 0.8, raw=0.89)]).words)[0] == "It learned, but no better than raw features:"
    assert claim(judged([probe(0.8, 0.7, raw=0.95)]).words)[0] == "It learned, but raw features do better:"
    only_pairs = judged([probe(0.8, 0.8)], pairs(0.95, 0.8)).words
    assert only_pairs.startswith("It learned to tell positive pairs from others, but labels are no easier to read: on")


@pytest.mark.parametrize(
    ("trained", "untrained", "auc", "head"),
    [
        (0.8, 0.8, 0.8, "Training added nothing that can be measured, and raw features do better:"),
        (0.7, 0.8, 0.8, "Training did harm, and raw features do better:"),
        (
            0.8,
            0.8,
            0.95,
            "It learned to tell positive pairs from others, but labels are no easier to read, "
            "and raw features do better:",
        ),
    ],
)
def test_raw_features_that_do_better_are_named_whatever_training_did(trained, untrained, auc, head):
    assert claim(judged([probe(trained, untrained, raw=0.95)], pairs(auc, 0.8)).words)[0] == head
    assert "raw features" not in judged([probe(trained, untrained, raw=0.5)], pairs(auc, 0.8)).words


def test_a_collapse_stands_above_any_number():
    found = judged([probe(0.9, 0.1)], pairs(0.95, 0.5), collapsed=True, causes=("x",))
    assert found.state == "collapsed"
    assert found.words.startswith("It collapsed: all rows embed alike; on 307 held-out rows, linear accuracy")
    assert judged(collapsed=True).words == "It collapsed: all rows embed alike."


def test_a_short_run_says_that_first():
    found = judged([], pairs(0.8, 0.8), short="20 steps are too few", causes=("x",))
    assert (found.state, found.causes) == ("too short", ("x",))
    assert found.words.startswith("Too short a run: 20 steps are too few; on 300 held-out rows, AUC")
    assert judged([], pairs(0.95, 0.8), short="20 steps are too few").state == "learning"
    harm = judged([], pairs(0.7, 0.8), short="20 steps are too few")
    assert harm.state == "harm"
    assert harm.words.startswith("Training did harm, in too short a run: 20 steps are too few; on 300 held-out rows")


def test_a_state_kept_from_the_way_is_said_and_not_offered_again():
    found = judged([probe(0.8, 0.8)], kept="the state of step 40 of 100 was kept")
    assert found.words.endswith("; the state of step 40 of 100 was kept.")
    assert found.offer == ""


def test_runs_of_earlier_versions_are_evaluated_by_their_scores():
    old = {"state": "not learning", "words": "rank 3: the loss 5.5 is no better than at the start", "causes": ["x"]}
    lone = [score(0.7, untrained=0.5, name="image>text R@1", field="image>text")]
    assert of_older(old, lone)["state"] == "nothing added"  # no interval of the difference, so nothing is claimed
    paired = {"untrained": {"value": 0.2, "low": 0.1, "high": 0.3}}
    rows = [score(0.7, untrained=0.5, name="image>text R@1", field="image>text", paired=paired)]
    assert of_older(old, rows)["words"].startswith("It learned: on 307 held-out rows, image>text R@1 .700 against .500")
    assert of_older({"state": "collapsed", "words": "w"}, [])["state"] == "collapsed"
    assert of_older(old, [])["words"] == f"Not evaluated: {old['words']}."


def test_a_number_that_only_describes_is_not_called_better():
    rows = [score(0.7, 0.4, 0.5), score(70.0, 20.0, 5.0, name="effective rank", chance=None)]
    assert page(story(scores=rows)).count("trained is") == 2  # of the accuracy alone


def test_a_collapse_says_how():
    told = judged([probe(0.9, 0.1)], collapsed=True, how="embeddings use 3 directions, 27 at the start", causes=("x",))
    assert told.words.startswith("It collapsed: embeddings use 3 directions, 27 at the start; on ")


def test_lost_directions_are_a_collapse_where_a_task_names_its_cause():
    start, end = (Health(rank, 128, 0.95, 0.1, -2.0, 64) for rank in (27.0, 3.1))
    assert collapse(start, end, named=True) == "embeddings use 3 directions, 27 at the start"
    assert collapse(start, end, named=False) == ""
    assert collapse(start, replace(end, effective_rank=7.0), named=True) == ""
    assert collapse(None, end, named=True) == ""
    assert collapse(None, replace(end, spread=0.01), named=False) == "all rows embed alike"
