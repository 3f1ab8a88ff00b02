"""Gradients per task against plain autograd and torchjd; ranks; what an aggregated update does to each loss."""

import pytest
import torch
from torch import nn

from kontrast.core.ranks import Ranks, on_ranks
from kontrast.tasks.aggregators.mgda import MGDA
from kontrast.tasks.aggregators.pcgrad import PCGrad
from kontrast.tasks.aggregators.upgrad import UPGrad
from kontrast.training import task_gradients as module
from kontrast.training.task_gradients import TaskGradients, task_gradients, words

pytestmark = pytest.mark.quick

SCALE = {"up": 1.0, "down": 10.0}


class Toy(nn.Module):
    """An encoder with two heads, whose regressions want opposite features."""

    def __init__(self):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
        self.heads = nn.ModuleDict({"up": nn.Linear(4, 2), "down": nn.Linear(4, 2)})
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=g) / 2
        self.heads["down"].weight.data = -self.heads["up"].weight.data

    def losses(self, x, y):
        z = self.encoder(x)
        return {name: SCALE[name] * head(z).sub(y).pow(2).mean() for name, head in self.heads.items()}


def data(n=16):
    g = torch.Generator().manual_seed(1)
    return torch.randn(n, 6, generator=g), 4 + torch.randn(n, 2, generator=g)


def found(toy, losses, ranks=None):
    starts = {name: [(loss, torch.ones_like(loss))] for name, loss in losses.items()}
    own = {name: [*head.parameters()] for name, head in toy.heads.items()}
    return task_gradients(starts, [*toy.encoder.parameters()], own, ranks or Ranks())


def flat(parameters):
    return torch.cat([p.grad.flatten() for p in parameters])


def test_rows_and_own_gradients_are_those_of_plain_autograd():
    toy = Toy()
    got = found(toy, toy.losses(*data()))
    for k, name in enumerate(toy.heads):
        toy.zero_grad()
        toy.losses(*data())[name].backward()
        assert torch.allclose(got.rows[k], flat(toy.encoder.parameters()), atol=1e-7)
        own = [d.flatten() for p, d in got.own if any(p is q for q in toy.heads[name].parameters())]
        assert torch.allclose(torch.cat(own), flat(toy.heads[name].parameters()), atol=1e-7)
    assert torch.allclose(got.gramian, got.rows.double() @ got.rows.double().T)
    assert got.norms["up"] == pytest.approx(float(got.rows[0].norm()), rel=1e-5)
    cosine = float(torch.cosine_similarity(got.rows[0], got.rows[1], dim=0))
    assert got.cosines == {"up/down": pytest.approx(cosine, abs=1e-5)}
    assert cosine < -0.2
    told = words({"up.square": 0.5}, {"up": 1.2345, "down": 20.0}, {"up/down": -0.318})
    assert told == "loss up.square 0.5   gradient up 1.23 · down 20   cosine up/down -0.32"


def test_weights_of_one_leave_the_gradient_of_the_sum():
    toy = Toy()
    found(toy, toy.losses(*data())).assign(torch.ones(2))
    got = [p.grad.clone() for p in toy.parameters()]
    toy.zero_grad()
    sum(toy.losses(*data()).values()).backward()
    assert all(torch.allclose(one, p.grad, atol=1e-6) for one, p in zip(got, toy.parameters(), strict=True))


def test_it_is_what_torchjd_leaves():
    pytest.importorskip("torchjd")
    from torchjd.aggregation import MGDA as Theirs
    from torchjd.autojac import jac_to_grad, mtl_backward

    toy, (x, y) = Toy(), data()
    z = toy.encoder(x)
    losses = [SCALE[name] * head(z).sub(y).pow(2).mean() for name, head in toy.heads.items()]
    mtl_backward(losses, features=z)
    jac_to_grad(toy.encoder.parameters(), Theirs())
    theirs = [p.grad.clone() for p in toy.parameters()]
    toy.zero_grad()
    got = found(toy, toy.losses(x, y))
    got.assign(got.weights(MGDA(), 0))
    assert all(torch.allclose(one, p.grad, atol=1e-5) for one, p in zip(theirs, toy.parameters(), strict=True))


@pytest.mark.parametrize("made", [UPGrad, PCGrad, MGDA])
def test_no_loss_grows_to_first_order_where_a_plain_sum_harms_one(made):
    toy = Toy().double()
    x, y = (part.double() for part in data())
    got = found(toy, toy.losses(x, y))
    assert (got.rows @ got.rows.sum(0)).min() < 0
    got.assign(got.weights(made(), 0))
    with torch.no_grad():
        before, length = toy.losses(x, y), float(flat(toy.encoder.parameters()).norm())
        for p in toy.encoder.parameters():
            p -= 1e-8 * p.grad
        after = toy.losses(x, y)
    assert all(float(after[name] - before[name]) <= 1e-3 * 1e-8 * length**2 for name in before)
    assert any(after[name] < before[name] for name in before)


def test_embeddings_with_their_gradient_are_starts_too():
    toy, (x, y) = Toy(), data()
    whole = found(toy, toy.losses(x, y))
    z = toy.encoder(x)
    out = {name: head(z) for name, head in toy.heads.items()}
    starts = {}
    for name, one in out.items():
        leaf = one.detach().requires_grad_()
        starts[name] = [(one, torch.autograd.grad(SCALE[name] * leaf.sub(y).pow(2).mean(), leaf)[0])]
    own = {name: [*head.parameters()] for name, head in toy.heads.items()}
    cut = task_gradients(starts, [*toy.encoder.parameters()], own, Ranks())
    assert torch.allclose(cut.rows, whole.rows, atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for (_, a), (_, b) in zip(cut.own, whole.own, strict=True))


def test_a_parameter_may_be_a_start_itself_and_unused_ones_get_zero():
    shared, scale, idle = (nn.Parameter(torch.ones(3)) for _ in range(3))
    starts = {"a": [(scale, torch.tensor([1.0, 2.0, 3.0])), ((2 * shared).sum(), torch.tensor(1.0))], "b": []}
    got = task_gradients(starts, [shared], {"a": [scale, idle], "b": [scale]}, Ranks())
    got.assign(torch.ones(2))
    assert scale.grad.tolist() == [1, 2, 3]
    assert idle.grad.tolist() == [0, 0, 0]
    assert shared.grad.tolist() == [2, 2, 2]
    assert got.cosines == {"a/b": 0}


def test_gradients_have_the_memory_layout_of_their_parameter():
    conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    loss = conv(torch.randn(2, 3, 5, 5)).pow(2).mean()
    (expected,) = torch.autograd.grad(loss, conv.weight, retain_graph=True)
    task_gradients({"a": [(loss, torch.ones(()))]}, [*conv.parameters()], {}, Ranks()).assign(torch.ones(1))
    assert conv.weight.grad.stride() == conv.weight.stride()
    assert torch.allclose(conv.weight.grad, expected)


def test_the_gramian_is_summed_in_chunks_and_float64(monkeypatch):
    rows = torch.cat([torch.full((2, 5), 1e4), torch.full((2, 5), 1e-1)], dim=1)
    rows[1] *= -1
    monkeypatch.setattr(module, "CHUNK", 3)
    assert torch.allclose(module._gramian(rows), rows.double() @ rows.double().T, rtol=1e-14)


def test_a_gradient_that_is_not_finite_reaches_the_loop():
    toy = Toy()
    losses = toy.losses(*data())
    got = found(toy, {**losses, "up": losses["up"] * torch.inf})
    weights = got.weights(UPGrad(), 0)
    assert weights.isnan().all()
    got.assign(weights)
    assert not flat(toy.encoder.parameters()).isfinite().any()


def _on_rank(ranks):
    toy, (x, y) = Toy(), data()
    mine = slice(None) if ranks.world == 1 else slice(0, 4) if ranks.rank == 0 else slice(4, 16)  # uneven
    share = ranks.world * len(x[mine]) / len(x)  # as Ranks.divide scales
    got: TaskGradients = found(toy, {n: share * v for n, v in toy.losses(x[mine], y[mine]).items()}, ranks)
    got.assign(weights := got.weights(UPGrad(), 0))
    return weights, [p.grad for p in toy.parameters()]


@pytest.mark.dist
def test_two_ranks_leave_the_gradient_of_one():
    weights, alone = _on_rank(Ranks())
    assert weights.max() > 1.01  # they conflict, so that aggregation is not linear here
    one, two = on_ranks(_on_rank, 2)
    assert torch.allclose(one[0], weights, rtol=1e-4)
    for a, b, c in zip(alone, one[1], two[1], strict=True):
        assert torch.equal(b, c)
        assert torch.allclose(a, b, atol=1e-6)
