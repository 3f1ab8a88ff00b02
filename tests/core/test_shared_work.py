"""Units of work that ranks share come back in their order, each done once."""

import pytest

from kontrast.core.ranks import on_ranks
from kontrast.core.shared_work import SharedWork


def _units(ranks):
    work, mine = SharedWork(ranks), []
    made = [list(work.done([lambda k=k: mine.append(k) or 10 * k for k in some])) for some in ([0, 1, 2], [3], [])]
    return made, mine


def test_a_single_process_makes_each_unit_when_it_is_asked_for():
    made = []
    results = SharedWork().done([lambda k=k: made.append(k) or k for k in range(3)])
    assert next(results) == 0
    assert made == [0]
    assert list(results) == [1, 2]


@pytest.mark.dist
def test_ranks_take_units_in_turn_over_all_calls_and_all_get_all_results():
    (first, mine), (second, theirs) = on_ranks(_units, 2)
    assert first == second == [[0, 10, 20], [30], []]
    assert (mine, theirs) == ([0, 2], [1, 3])
