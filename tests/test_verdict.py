"""What a report claims, and how it writes numbers: never more than the intervals carry."""

import pytest
from test_report import score, story

from kontrast.runs.page.charts import ticks
from kontrast.runs.page.digits import clock, interval, number, round_number
from kontrast.runs.page.verdict import headline, standing
from kontrast.runs.report import page


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


@pytest.mark.parametrize(
    ("scores", "tone", "claim"),
    [
        ([score(0.742, 0.403, 0.512)], "good", "It learned"),
        ([score(0.742, 0.72, 0.512)], "mixed", "It learned, but no better than raw features"),
        ([score(0.742, 0.9, 0.512)], "mixed", "It learned, but raw features do better"),
        ([score(0.742, 0.403, 0.73)], "bad", "Training added nothing that can be measured"),
        ([score(0.5, 0.4, 0.7)], "bad", "Training made it worse"),
        ([score(0.12)], "bad", "No better than chance"),
        ([], "unknown", "Not judged"),
    ],
)
def test_the_headline_says_what_was_measured(scores, tone, claim):
    assert headline({"state": "learning"}, scores)[:2] == (tone, claim)


def test_the_headline_carries_its_evidence():
    reason = headline({"state": "learning"}, [score(0.742, 0.403, 0.512)]).reason
    assert "kNN accuracy .742 [.69, .79] against .403 for raw features and .512 untrained" in reason
    assert "307 test rows" in reason


def test_scores_that_are_not_clear_are_named():
    rows = [score(0.7, 0.4, 0.5), score(0.7, 0.69, 0.5, name="linear accuracy")]
    assert "1 of 2 scores are clear of their baselines; not so: linear accuracy." in headline({}, rows).reason


def test_a_number_that_only_describes_is_neither_counted_nor_called_better():
    rows = [score(0.7, 0.4, 0.5), score(70.0, 20.0, 5.0, name="effective rank", chance=None)]
    assert "effective rank" not in headline({}, rows).reason
    assert "scores are clear" not in headline({}, rows).reason
    assert page(story(scores=rows)).count("trained is higher") == 2


def test_the_headline_is_of_the_first_number_and_not_of_the_best():
    rows = [score(0.5, 0.4, 0.5, score="knn"), score(0.9, 0.1, 0.1, name="ARI", score="clustering")]
    assert headline({}, rows).claim == "Training added nothing that can be measured"


def test_a_collapse_stands_above_any_score():
    words = headline({"state": "collapsed", "words": "all rows embed alike"}, [score(0.9, 0.1, 0.1)])
    assert words[:2] == ("bad", "It collapsed")
    assert words.reason.startswith("All rows embed alike.")
