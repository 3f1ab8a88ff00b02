"""Evaluation of a run by several processes: the same numbers as by one, bit for bit."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from kontrast.core.ranks import on_ranks
from kontrast.core.shared_work import SharedWork
from kontrast.runs.pipeline import held_pairs
from kontrast.runs.pipeline.held_pairs import MOST, measured, of_each_task, positive_pairs
from tests.support.unrun import unrun

TASKS = {"pairs": "simclr", "kinds": "kcl"}


def _evaluated(ranks):
    """Embeddings and AUC by the given ranks and by each alone; how many batches this rank embedded."""
    held_pairs.CHUNK = 8
    with tempfile.TemporaryDirectory() as cache:
        model, data = unrun(Path(cache), TASKS)
        encode, seen = model.learner.encoders.forward, []
        model.learner.encoders.forward = lambda *given: seen.append(1) or encode(*given)
        work, rows = SharedWork(ranks), np.arange(40)
        shared = model.embed(data, rows, batch=8, work=work).z["wave"]
        each = len(seen)
        pairs = positive_pairs(model, data, rows, work=work), positive_pairs(model, data, rows)
        aucs = of_each_task(model, data, rows, MOST, work), of_each_task(model, data, rows)
        return shared, model.embed(data, rows, batch=8).z["wave"], each, pairs, aucs


@pytest.mark.dist
def test_ranks_share_the_rows_and_find_what_one_finds_bit_for_bit():
    found = on_ranks(_evaluated, 2)
    assert [each for _, _, each, _, _ in found] == [3, 2]  # of five batches
    for shared, alone, _, (pairs, wanted), _ in found:
        assert np.array_equal(shared, alone)
        for one, other in zip(pairs, wanted, strict=True):
            assert np.array_equal(one.one, other.one)
            assert np.array_equal(one.two, other.two)
            assert np.array_equal(one.row, other.row)
    (ours, wanted), (theirs, _) = found[0][4], found[1][4]
    assert theirs == {}
    assert {task: auc.value for task, auc in ours.items()} == {task: auc.value for task, auc in wanted.items()}


def test_a_tasks_own_pairs_among_others_are_those_that_it_has_alone(tmp_path):
    rows = np.arange(40)
    found = {}
    for name, tasks in (("both", TASKS), *((task, {task: TASKS[task]}) for task in TASKS)):
        (tmp_path / name).mkdir()
        model, data = unrun(tmp_path / name, tasks)
        found[name] = of_each_task(model, data, rows)
        if len(tasks) == 1:
            assert found[name][name].value == measured(model, data, rows).value
    assert set(found["both"]) == set(TASKS)
    # Encoders and the first head start alike, whichever tasks follow.
    assert np.array_equal(found["both"]["pairs"].entries, found["pairs"]["pairs"].entries)
    assert found["both"]["kinds"].value > found["both"]["pairs"].value  # equal classes are no random pairs of its own
    assert len(found["both"]["kinds"].entries) == len(found["kinds"]["kinds"].entries)
