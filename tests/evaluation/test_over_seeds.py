"""Means and differences over seeds: their intervals cover the truth as often as they say."""

import numpy as np
import pytest

from kontrast.core.errors import UserError
from kontrast.evaluation.intervals import Found, apart, interval
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.over_seeds import averaged, difference_over_seeds, mean_over_seeds

pytestmark = pytest.mark.quick


def _found(entries):
    return Found(MetricResult.mean(np.asarray(entries), alone=True, bounds=(-np.inf, np.inf)))


def test_one_seed_has_the_interval_over_rows():
    one, two = _found([0.1, 0.4, 0.3, 0.9]), _found([0.5, 0.2, 0.8, 1.0])
    assert difference_over_seeds([one], [two]) == apart(one, two)
    assert mean_over_seeds([one]) == (one.evidence.value, *interval(one))


def test_seeds_widen_the_interval_by_their_student_interval():
    rng = np.random.default_rng(0)
    one = [_found(rng.normal(size=50)) for _ in range(3)]
    two = [_found(rng.normal(size=50) + shift) for shift in (0.1, 0.5, 1.2)]
    value, low, high = difference_over_seeds(one, two)
    each = [b.evidence.value - a.evidence.value for a, b in zip(one, two, strict=True)]
    rows = apart(averaged(one), averaged(two))
    assert value == pytest.approx(np.mean(each))
    seeds = 4.302653 * np.std(each, ddof=1) / np.sqrt(3)  # Student's t, 2 degrees of freedom
    assert high - value == pytest.approx(np.hypot(rows[2] - rows[0], seeds), rel=1e-5)
    assert value - low == pytest.approx(high - value, rel=1e-5)


@pytest.mark.parametrize(("of_seeds", "of_rows"), [(0.0, 1.0), (0.3, 0.2), (0.05, 1.0)])
def test_the_interval_of_a_difference_covers_the_truth(of_seeds, of_rows):
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(400):
        rows = of_rows * rng.normal(size=60)  # what a test row adds to the difference, whatever the seed
        one = [_found(0.2 * rng.normal(size=60)) for _ in range(3)]
        two = [_found(rows + of_seeds * rng.normal() + 0.2 * rng.normal(size=60)) for _ in range(3)]
        _, low, high = difference_over_seeds(one, two)
        missed += not low <= 0 <= high
    assert missed / 400 <= 0.075  # 5 %, and what 400 trials can add to it by luck


def test_unequal_seeds_or_rows_are_refused():
    few, more = _found([1, 2, 3]), _found([1, 2, 3, 4])
    with pytest.raises(UserError, match="the same seeds in both; found 1 and 2"):
        difference_over_seeds([few], [few, few])
    with pytest.raises(UserError, match="the same test rows"):
        averaged([few, more])
