"""Share of chosen answers that win, beside the rule that the shorter wins, paired over the same rows."""

from dataclasses import replace

import numpy as np
import pytest

from kontrast.evaluation.evaluate import evaluate
from kontrast.evaluation.preference import RULE, Preference
from kontrast.evaluation.verdict import verdict
from kontrast.runs.messages import scores
from tests.support.banks import bank

pytestmark = pytest.mark.quick


def banks(**margins):
    empty = bank(np.random.default_rng(0).normal(size=(400, 4)))
    return {which: (empty, replace(empty, margins=m)) for which, m in margins.items()}


def judged(trained, raw):
    (row,) = evaluate([Preference()], banks(trained=trained, untrained=np.zeros(400), raw=raw))
    return row


rng = np.random.default_rng(1)
RULED = rng.normal(size=400) + 0.2
BETTER = np.where(rng.random(400) < 0.6, np.abs(RULED), RULED)


def test_the_share_counts_ties_half_and_rows_without_a_pair_not_at_all():
    found = Preference()(*banks(trained=np.array([2.0, -1, 0, 5] * 90 + [np.nan] * 40))["trained"])
    assert found["chosen wins"].value == pytest.approx(2.5 / 4)
    assert found["chosen wins"].rows == 360


@pytest.mark.parametrize("margins", [None, np.full(400, np.nan)])
def test_without_pairs_it_says_why(margins):
    test = banks(trained=margins)["trained"][1]
    assert Preference()(test, test) == {}
    assert "chosen and" in Preference().why_not(test, test)


def test_the_rule_is_the_baseline_and_the_difference_is_paired():
    row = judged(BETTER, RULED)
    share, rule = (BETTER > 0).mean(), (RULED > 0).mean()
    assert (row["trained"]["value"], row["raw"]["value"], row["untrained"]["value"]) == (share, rule, 0.5)
    paired = row["paired"]["raw"]
    assert paired["value"] == pytest.approx(share - rule)
    apart = (BETTER > 0) * 1.0 - (RULED > 0)
    assert paired["high"] - paired["value"] == pytest.approx(1.966 * apart.std(ddof=1) / 20, rel=1e-3)
    said = scores([row])
    assert f"{RULE} .{round(1000 * rule)}, +.{round(1000 * (share - rule))} [" in said
    assert "raw features" not in said


def test_the_verdict_names_the_rule_that_was_not_beaten():
    told = verdict([judged(BETTER, RULED)], pairs=None, collapsed=False)
    assert told.state == "learning"
    assert "but" not in told.words
    even = verdict([judged(RULED + 0.3, RULED + 0.29)], pairs=None, collapsed=False)
    assert f"no better than {RULE}" in even.words
    worse = verdict([judged(RULED + 0.3, BETTER + 9)], pairs=None, collapsed=False)
    assert f"{RULE} does better" in worse.words


def test_margins_are_kept_on_disk_and_by_selections(tmp_path):
    table = banks(trained=RULED)["trained"][1]
    table.save(tmp_path / "a.parquet")
    assert np.array_equal(type(table).load(tmp_path / "a.parquet").margins, RULED)
    assert np.array_equal(table.take(RULED > 0).margins, RULED[RULED > 0])
    bare = replace(table, margins=None)
    bare.save(tmp_path / "b.parquet")
    assert type(table).load(tmp_path / "b.parquet").margins is None
