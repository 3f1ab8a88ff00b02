"""Evaluations while training stay within their share of the time."""

import pytest

from kontrast.training.look_budget import MOST, LookBudget

pytestmark = pytest.mark.quick


def _run(steps, a_step, a_look, share=0.03, budget=None):
    """Steps at which a run evaluates, and the seconds of training and evaluation."""
    budget, seconds, looks = budget or LookBudget(share), 0.0, []
    for step in range(steps + 1):
        seconds += a_step * (step > 0)
        if budget.due(step, steps, seconds):
            budget.took(step, a_look)
            seconds += a_look
            looks.append(step)
    return looks, seconds, budget


@pytest.mark.parametrize("a_look", [0.01, 0.5, 2.0])
def test_the_share_is_kept_from_start_to_end(a_look):
    looks, seconds, budget = _run(steps=2000, a_step=0.1, a_look=a_look)
    assert looks[0] == 0
    assert looks[-1] == 2000
    assert budget.spent == pytest.approx(a_look * len(looks))
    assert budget.spent <= 0.03 * seconds
    assert budget.spent + 3 * a_look > 0.03 * seconds or len(looks) > MOST / 2  # and it is made use of


def test_a_run_too_short_for_its_share_is_evaluated_at_start_and_end():
    assert _run(steps=10, a_step=0.01, a_look=1.0)[0] == [0, 10]


def test_cheap_evaluations_are_no_more_than_make_a_curve():
    assert len(_run(steps=5000, a_step=1.0, a_look=1e-6)[0]) <= MOST + 1


def test_the_same_step_is_not_evaluated_twice():
    budget = LookBudget(0.03)
    budget.took(7, 0.1)
    assert not budget.due(7, 7, 100.0)


def test_a_slow_first_evaluation_delays_only_the_second():
    budget = LookBudget(0.03)
    budget.took(0, 3.0)
    budget.took(400, 0.1)
    assert budget.longest == 0.1
    budget.took(500, 0.4)
    budget.took(600, 0.2)
    assert budget.longest == 0.4
