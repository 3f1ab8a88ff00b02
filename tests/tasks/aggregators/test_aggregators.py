"""Aggregators against slow float64 oracles, explicit vectors, and values that torchjd 0.18 gave."""

import itertools
import sys

import pytest
import torch

from kontrast.core import factory, random_streams, registry
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.tasks.aggregators.mgda import MGDA
from kontrast.tasks.aggregators.pcgrad import PCGrad
from kontrast.tasks.aggregators.uncertainty import Uncertainty
from kontrast.tasks.aggregators.upgrad import UPGrad
from kontrast.tasks.aggregators.weighted import Weighted

pytestmark = pytest.mark.quick

JACOBIAN = [UPGrad, PCGrad, MGDA]


def gradients(count, seed=0, *, width=12, spread=0.0):
    """Task gradients, (T, N); the first two conflict, and norms differ by 10 ** spread in both directions."""
    g = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, width, generator=g, dtype=torch.float64)
    rows[1] = 0.4 * rows[1] - 0.9 * rows[0]
    sizes = torch.logspace(-spread, spread, count, dtype=torch.float64)[torch.randperm(count, generator=g)]
    return rows * sizes[:, None]


def every_gradient():
    return [
        gradients(count, seed, spread=spread) for count in (2, 3, 5) for seed in (0, 1) for spread in (0.0, 1.0, 3.0)
    ]


def weights(made, rows, seed=3):
    return made.aggregate(rows @ rows.T, seed)


# UPGrad -------------------------------------------------------------------------------------------------------------
def projected(g, rows):
    """Point nearest to g that conflicts with no row, found face by face: orthogonal to some rows, feasible for all."""
    best = None
    for held in itertools.chain.from_iterable(
        itertools.combinations(range(len(rows)), k) for k in range(len(rows) + 1)
    ):
        face = rows[list(held)]
        point = g - face.T @ torch.linalg.pinv(face.T) @ g if held else g
        fits = (rows @ point >= -1e-9 * rows.norm(dim=1) * g.norm()).all()
        if fits and (best is None or (point - g).norm() < (best - g).norm()):
            best = point
    return best


def test_upgrad_adds_the_nearest_points_that_harm_no_task():
    for rows in every_gradient():
        update = weights(UPGrad(), rows) @ rows
        assert torch.allclose(update, sum(projected(g, rows) for g in rows), atol=1e-6 * float(rows.norm()))


def test_upgrad_harms_no_task_whatever_the_norms():
    for rows in every_gradient():
        change = rows @ (weights(UPGrad(), rows) @ rows)
        assert (change >= -1e-7 * rows.norm(dim=1) * rows.norm(dim=1).max()).all()
    assert sum(bool((rows @ rows.sum(0) < 0).any()) for rows in every_gradient()) > 5  # where their plain sum does


def test_upgrad_of_small_gradients_is_that_of_large_ones():
    rows = gradients(3)
    assert torch.allclose(weights(UPGrad(), rows), weights(UPGrad(), 1e-5 * rows), rtol=1e-6)


def test_upgrad_gives_what_torchjd_gave():
    gramian = torch.tensor([[4.0, -3.0, 1.0], [-3.0, 5.0, -2.0], [1.0, -2.0, 3.0]], dtype=torch.float64)
    frozen = 3 * torch.tensor(FROZEN["upgrad"], dtype=torch.float64)  # torchjd takes the mean of the projections
    assert torch.allclose(UPGrad().aggregate(gramian, 0), frozen, atol=2e-3)  # it regularises by 1e-4


# PCGrad -------------------------------------------------------------------------------------------------------------
def test_pcgrad_is_that_of_explicit_vectors():
    for rows in every_gradient():
        total = torch.zeros_like(rows[0])
        for t, g in enumerate(rows):
            g = g.clone()
            for u in random_streams.permutation(3, t, len(rows)).tolist():
                if u != t and (inner := g @ rows[u]) < 0:
                    g -= inner / (rows[u] @ rows[u]) * rows[u]
            total += g
        assert torch.allclose(weights(PCGrad(), rows) @ rows, total, atol=1e-9 * float(rows.norm()))


def test_pcgrad_depends_on_the_order_and_the_order_on_the_seed_alone():
    rows = gradients(5, 1)
    rows[2:] -= 2 * rows[0]
    first = [weights(PCGrad(), rows, seed).tolist() for seed in range(8)]
    assert first == [weights(PCGrad(), rows, seed).tolist() for seed in range(8)]
    assert len({tuple(w) for w in first}) > 1


def test_pcgrad_of_two_tasks_gives_what_torchjd_gave():
    gramian = torch.tensor([[4.0, -3.0], [-3.0, 5.0]], dtype=torch.float64)
    assert torch.allclose(PCGrad().aggregate(gramian, 0), torch.tensor(FROZEN["pcgrad"], dtype=torch.float64))


# MGDA ---------------------------------------------------------------------------------------------------------------
def shortest(rows):
    """Smallest norm in the hull of the rows, face by face."""
    best = torch.inf
    for k in range(1, len(rows) + 1):
        for held in itertools.combinations(range(len(rows)), k):
            face = rows[list(held)]
            w = torch.linalg.pinv(face @ face.T) @ torch.ones(k, dtype=rows.dtype)
            if (w >= 0).all():
                best = min(best, float((w / w.sum() @ face).norm()))
    return best


def test_mgda_finds_the_shortest_mean():
    for rows in every_gradient():
        w = weights(MGDA(), rows)
        assert (w >= 0).all()
        assert float(w.sum()) == pytest.approx(1)
        update = w @ rows
        assert float(update.norm()) == pytest.approx(shortest(rows), rel=1e-5)
        # the point nearest to 0: no task falls slower than the update is long
        assert (rows @ update >= (1 - 1e-3) * update @ update).all()


def test_mgda_of_two_tasks_gives_what_torchjd_gave():
    gramian = torch.tensor([[4.0, -3.0], [-3.0, 5.0]], dtype=torch.float64)
    assert torch.allclose(MGDA().aggregate(gramian, 0), torch.tensor(FROZEN["mgda"], dtype=torch.float64))


# All that combine gradients -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("made", JACOBIAN)
def test_gradients_that_are_zero_equal_or_opposite_have_finite_weights(made):
    one = gradients(3)
    zero, equal, opposite = one.clone(), one.clone(), one.clone()
    zero[2], equal[2], opposite[2] = 0, one[1], -one[1]
    for rows in (zero, equal, opposite, torch.zeros_like(one), one[:1]):
        w = weights(made(), rows)
        assert w.isfinite().all()
        assert (rows @ (w @ rows) >= -1e-6 * rows.norm() ** 2).all() or made is PCGrad


@pytest.mark.parametrize("made", [UPGrad, PCGrad])
def test_without_conflict_they_are_the_plain_sum(made):
    rows = gradients(4).abs()
    assert torch.allclose(weights(made(), rows), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize(("made", "package"), [(UPGrad, "torchjd"), (UPGrad, "quadprog"), (MGDA, "quadprog")])
def test_a_missing_package_is_named_with_its_extra(made, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"'{package}'.*pip install 'kontrast\[tasks\]'"):
        made()


def test_the_room_holds_these():
    assert set(registry.kinds("aggregators")) == {"weighted", "uncertainty", "upgrad", "pcgrad", "mgda"}
    facts = {"tasks": ["a", "b"], "weights": {"a": 1.0, "b": 2.0}}
    for name in registry.kinds("aggregators"):
        made = factory.build("aggregators", name, {}, given=facts)
        losses = {"a": torch.tensor(2.0, requires_grad=True), "b": torch.tensor(3.0, requires_grad=True)}
        made.combine(losses, Ranks()).backward()
        assert all(loss.grad > 0 for loss in losses.values())
        if not made.jacobian:
            with pytest.raises(NotImplementedError):
                made.aggregate(torch.eye(2), 0)


# Losses -------------------------------------------------------------------------------------------------------------
def test_weighted_adds():
    assert float(Weighted().combine({"a": torch.tensor(2.0), "b": torch.tensor(3.0)}, Ranks())) == 5


def test_uncertainty_is_its_equation_in_value_and_gradients():
    made = Uncertainty(["a", "b", "c"], {"a": 1.0, "b": 0.5, "c": 2.0})
    with torch.no_grad():
        made.log_variance.copy_(torch.tensor([0.3, -0.7, 1.1]))
    losses = {"c": torch.tensor(2 * 0.25, requires_grad=True), "a": torch.tensor(4.0, requires_grad=True)}
    value = made.combine(losses, Ranks())
    value.backward()
    s, (a, c) = made.log_variance.detach(), (4.0, 0.25)
    expected = 0.5 * ((-s[0]).exp() * a + s[0]) + 2 * 0.5 * ((-s[2]).exp() * c + s[2])
    assert torch.allclose(value, expected)
    slopes = torch.stack([0.5 - 0.5 * (-s[0]).exp() * a, s.new_zeros(()), 2 * (0.5 - 0.5 * (-s[2]).exp() * c)])
    assert torch.allclose(made.log_variance.grad, slopes)
    assert torch.allclose(losses["a"].grad, 0.5 * (-s[0]).exp())


def test_uncertainty_learns_the_size_of_each_loss_whatever_its_weight():
    made = Uncertainty(["a", "b"], {"a": 1.0, "b": 3.0})
    s = made.log_variance
    for _ in range(100):
        (slope,) = torch.autograd.grad(made.combine({"a": torch.tensor(5.0), "b": torch.tensor(3 * 0.2)}, Ranks()), s)
        s.data -= 0.3 * slope
    assert torch.allclose(made.log_variance.exp(), torch.tensor([5.0, 0.2]), rtol=1e-2)


def test_uncertainty_refuses_a_negative_loss():
    made = Uncertainty(["a", "far"], {})
    with pytest.raises(UserError, match=r"task 'far' is -0\.9; expected losses of 0 or more"):
        made.combine({"a": torch.tensor(5.0), "far": torch.tensor(-0.9)}, Ranks())


def _learned(ranks):
    made = Uncertainty(["a", "b"], {"a": 1.0, "b": 1.0})
    here = [(4.0, 0.1), (2.0, 0.5)][ranks.rank] if ranks.world == 2 else (3.0, 0.3)
    losses = {name: torch.tensor(value, requires_grad=True) for name, value in zip("ab", here, strict=True)}
    value = made.combine(losses, ranks)
    value.backward()
    return value.detach(), made.log_variance.grad, losses["a"].grad


@pytest.mark.dist
def test_uncertainty_learns_the_same_on_two_ranks_as_on_one():
    alone = _learned(Ranks())
    one, two = on_ranks(_learned, 2)
    assert torch.allclose((one[0] + two[0]) / 2, alone[0])
    for rank in (one, two):
        assert torch.allclose(rank[1], alone[1])
        assert torch.equal(rank[2], alone[2])
    assert torch.equal(one[1], two[1])


# UPGradWeighting, PCGradWeighting and MGDAWeighting of torchjd 0.18.0 with their defaults, of the Gramians above.
FROZEN = {"upgrad": [0.5756386410, 0.6968177242, 0.5150457938], "pcgrad": [1.75, 1.6], "mgda": [8 / 15, 7 / 15]}
