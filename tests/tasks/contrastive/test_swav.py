"""SwAV against a slow float64 loop; prototypes that wait; roles of views."""

import math

import pytest
import torch

from kontrast.checks.processes import doubles
from kontrast.core.clock import Clock
from kontrast.core.ranks import Ranks
from kontrast.training.step import rows_of, step
from tests.support.vectors import batch_of, learner_of

pytestmark = pytest.mark.quick

SETTINGS = {"crops": 2, "prototypes": 3, "hidden": 7, "width": 5, "frozen": 0.5}


def assignments(scores, epsilon=0.05, iterations=3):
    """Sinkhorn on plain numbers: columns equally full, then rows of sum 1."""
    q = [[math.exp(s / epsilon) for s in row] for row in scores]
    for _ in range(iterations):
        full = [sum(row[k] for row in q) for k in range(len(q[0]))]
        q = [[x / full[k] for k, x in enumerate(row)] for row in q]
        q = [[x / sum(row) for x in row] for row in q]
    return q


def test_each_view_predicts_the_balanced_assignments_of_the_other_global_views():
    learner = learner_of("swav", SETTINGS)
    batch = batch_of(learner, range(5), has=[True, True, True, True, False])
    task, out = learner.served, rows_of(learner, {"": batch})["contrast"]
    unit = torch.nn.functional.normalize
    directions = unit(task.prototypes.directions.detach().double(), dim=1)
    scores = {name: (unit(rows.z[:4].double(), dim=1) @ directions.T).tolist() for name, rows in out.items()}
    assert len(scores) == 4
    total = 0.0
    for a in ("x.1", "x.2"):
        q = assignments(scores[a])
        for v in scores.keys() - {a}:
            for i in range(4):
                below = math.log(sum(math.exp(s / 0.1) for s in scores[v][i]))
                total -= sum(q[i][k] * (scores[v][i][k] / 0.1 - below) for k in range(3)) / (2 * 3 * 4)
    found = task.compute_loss(out, Ranks(alone=True))
    assert sum(term.value().item() for term in found.values()) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize(("progress", "moves"), [(0.0, False), (0.49, False), (0.5, True)])
def test_prototypes_move_only_after_the_share_in_which_they_are_frozen(progress, moves):
    with doubles():
        learner = learner_of("swav", SETTINGS)
        learner.begin(Clock(0, progress))
        step(learner, learner, {"": batch_of(learner, range(6))}, Ranks(alone=True), seed=0)
        assert bool(learner.served.prototypes.directions.grad.abs().sum() > 0) == moves
        assert all(p.grad.abs().sum() > 0 for p in learner.encoders.networks.parameters())


def test_two_views_are_global_and_the_crops_local():
    roles = [spec.role for spec in learner_of("swav", SETTINGS).served.views().values()]
    assert roles == ["global", "global", "local", "local"]
