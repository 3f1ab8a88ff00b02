"""Losses and kernels give the values of slow float64 loops and the gradients of finite differences, in any tiling."""

import math

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.normalize import unit
from kontrast.layers.estimates import Estimates
from kontrast.layers.memory_bank import MemoryBank
from kontrast.layers.targets import assign, uniform_points
from kontrast.layers.temperatures import Temperatures
from kontrast.losses.contrastive.debiased import Debiased
from kontrast.losses.contrastive.herocon import HeroCon
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.nce import NCE
from kontrast.losses.contrastive.rank_n_contrast import RankNContrast
from kontrast.losses.contrastive.supcon_inside import SupConInside
from kontrast.losses.engine.contrast import contrast, per_row
from kontrast.losses.kernels.bilinear import Bilinear
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.kernels.distance import Distance
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.pairwise.cosface import CosFace
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft
from kontrast.losses.relations.target_similarity import TargetSimilarity
from kontrast.losses.tile_weights import Weights

EXP, LOG = math.exp, math.log


def rows_of(n=12, views=2, width=6, classes=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n * views, width, generator=g, dtype=torch.float64, requires_grad=True)
    keys = {
        "id": torch.arange(n).repeat(views),
        "view": torch.arange(views).repeat_interleave(n),
        "label": torch.randint(0, classes, (n,), generator=g).repeat(views),
        "soft": torch.rand(n, classes, generator=g, dtype=torch.float64).repeat(views, 1),
        "age": torch.randint(0, 7, (n * views,), generator=g).double(),
    }
    return Embeddings(z, keys)


def softplus(x):
    return max(x, 0) + math.log1p(EXP(-abs(x)))


# Each takes an anchor's logits S, attractions P and candidate weights Q over the other rows and gives its loss.


def supcon_inside(S, P, Q):
    return LOG(sum(q * EXP(s) for s, q in zip(S, Q, strict=True)) / sum(p * EXP(s) for s, p in zip(S, P, strict=True)))


def supcon_mean(S, P, Q):
    return supcon_inside(S, P, Q) + LOG(sum(P))


def debiased(prior, beta, t):
    def loss(S, P, Q):
        neg = [s for s, p, q in zip(S, P, Q, strict=True) if q and not p]
        n, (pos,) = len(neg), [s for s, p in zip(S, P, strict=True) if p]
        hard = [EXP(beta * s) for s in neg]
        mass = sum(h * EXP(s) for h, s in zip(hard, neg, strict=True)) / (sum(hard) / n)
        g = max((mass - prior * n * EXP(pos)) / (1 - prior), n * EXP(-1 / t))
        return -LOG(EXP(pos) / (EXP(pos) + g))

    return loss


def herocon(S, P, Q):
    neg = sum(q * EXP(s) for s, p, q in zip(S, P, Q, strict=True) if not p)
    pairs = [LOG((neg + p * EXP(s)) / (p * EXP(s))) for s, p in zip(S, P, strict=True) if p]
    return sum(pairs), len(pairs)


def rnc(root):
    def loss(S, P, Q):
        S = [-math.sqrt(-s) for s in S] if root else S
        each = [LOG(sum(EXP(S[k]) for k in range(len(S)) if P[k] <= P[j])) - S[j] for j in range(len(S)) if P[j]]
        return sum(each) / len(each)

    return loss


def nce(shift):
    def loss(S, P, Q):
        return sum(p * softplus(shift - s) + q * softplus(s - shift) for s, p, q in zip(S, P, Q, strict=True))

    return loss


def cosface(S, P, Q):
    S = [3 * (s - 0.4 * p) for s, p in zip(S, P, strict=True)]
    return LOG(sum(q * EXP(s) for s, q in zip(S, Q, strict=True))) - sum(
        p * s for s, p in zip(S, P, strict=True)
    ) / sum(P)


CASES = {
    "supcon inside": (SupConInside(), SameKey("label"), Cosine(temperature=0.5), supcon_inside),
    "supcon inside, mean": (SupConInside(mean=True), SameKey("label"), Cosine(temperature=0.5), supcon_mean),
    "inside, soft": (SupConInside(), Soft("soft"), Cosine(temperature=0.5), supcon_inside),
    "soft nearest neighbour": (SupConInside(), SameKey("label"), Distance(temperature=2.0), supcon_inside),
    "debiased": (Debiased(prior=0.1, temperature=0.5), SameKey("id"), Cosine(temperature=0.5), debiased(0.1, 0, 0.5)),
    "debiased, apart": (
        Debiased(prior=0.02, temperature=0.5),
        SameKey("id", apart=True),
        Cosine(temperature=0.5),
        debiased(0.02, 0, 0.5),
    ),
    "hard": (
        Debiased(prior=0.05, hardness=1.5, temperature=0.5),
        SameKey("id"),
        Cosine(temperature=0.5),
        debiased(0.05, 1.5, 0.5),
    ),
    "herocon": (HeroCon(), SameKey("label"), Cosine(temperature=0.5), herocon),
    "herocon, weights": (
        HeroCon(),
        SameKey("label", apart=True) & Soft("soft"),
        Cosine(temperature=0.5),
        herocon,
    ),
    "rnc": (RankNContrast(), TargetSimilarity("age", shape="inverse"), Dot(), rnc(False)),
    "rnc, distance": (
        RankNContrast(root=True),
        TargetSimilarity("age", shape="inverse"),
        Distance(temperature=4.0),
        rnc(True),
    ),
    "nce": (NCE(shift=0.7), SameKey("label", apart=True), Cosine(temperature=0.5), nce(0.7)),
    "additive margin": (CosFace(margin=0.4, scale=3.0), SameKey("label"), Cosine(temperature=1.0), cosface),
    "additive margin, soft": (CosFace(margin=0.4, scale=3.0), Soft("soft"), Cosine(temperature=1.0), cosface),
}


def logits(kernel, z):
    """All pairs, one by one."""
    z = z.detach().tolist() if isinstance(kernel, Distance | Dot) else F.normalize(z.detach(), dim=1).tolist()
    if isinstance(kernel, Distance):
        return [[-(math.dist(a, c) ** 2) / kernel.temperature for c in z] for a in z]
    scale = 1 if isinstance(kernel, Dot) else kernel.log_scale.exp().item()
    return [[scale * sum(x * y for x, y in zip(a, c, strict=True)) for c in z] for a in z]


@pytest.mark.parametrize("case", CASES)
def test_a_loss_is_that_of_a_slow_loop_in_any_tiling_with_the_same_gradient(case):
    loss, relation, kernel, slow = CASES[case]
    kernel = kernel.double()
    rows = rows_of()
    S, n = logits(kernel, rows.z), len(rows)
    keys = rows.keys
    P, Q = relation.weights({k: v[:, None] for k, v in keys.items()}, {k: v[None] for k, v in keys.items()})
    P, Q = P.double(), torch.ones(n, n) if Q is None else Q.double()
    total, count = 0.0, 0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        if not sum(P[i, j] for j in others):
            continue
        one = slow([S[i][j] for j in others], [P[i, j].item() for j in others], [Q[i, j].item() for j in others])
        total, count = (total + one[0], count + one[1]) if isinstance(one, tuple) else (total + one, count + 1)
    found = []
    for tile in (1, 100, 1 << 20):
        mean = contrast(rows, rows, relation, loss=loss, kernel=kernel, tile=tile)
        assert mean.count == count
        found.append((mean.value().detach(), *torch.autograd.grad(mean.value(), rows.z)))
    for value, grad in found:
        assert value.item() == pytest.approx(total / count, abs=1e-6)
        torch.testing.assert_close(grad, found[0][1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_finite_differences(case):
    loss, relation, kernel, _ = CASES[case]
    rows = rows_of(n=4, width=3, classes=2)

    def value(z):
        both = Embeddings(z, rows.keys)
        return contrast(both, both, relation, loss=loss, kernel=kernel.double(), tile=40).value()

    assert torch.autograd.gradcheck(value, (rows.z,))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [0.0, 1e-3, 1e3])
def test_embeddings_of_any_size_in_half_precision_give_no_nan(case, size):
    loss, relation, kernel, _ = CASES[case]
    kernel = kernel.float()
    rows = rows_of()
    for dtype in (torch.float16, torch.bfloat16):
        z = (rows.z.detach() * size).to(dtype).requires_grad_()
        both = Embeddings(z, rows.keys)
        mean = contrast(both, both, relation, loss=loss, kernel=kernel)
        assert torch.isfinite(mean.value())
        assert torch.isfinite(torch.autograd.grad(mean.value(), z)[0].float()).all()


def test_each_row_has_its_own_loss_and_none_where_it_does_not_count():
    rows = rows_of(n=6)
    kernel = Cosine().double()
    part = rows[:8]  # ids 0 to 5, and 0 and 1 again
    for tile in (1, 1 << 20):
        each = per_row(part, part, SameKey("id"), loss=InfoNCE(), kernel=kernel, tile=tile)
        assert each.isnan().tolist() == [False, False, True, True, True, True, False, False]
        whole = contrast(part, part, SameKey("id"), loss=InfoNCE(), kernel=kernel)
        torch.testing.assert_close(each.nansum(), whole.total)


def test_an_anchor_without_a_negative_is_left_out_where_positives_are_no_candidates():
    rows = rows_of(n=1)
    mean = contrast(rows, rows, SameKey("id", apart=True), loss=InfoNCE(), kernel=Cosine())
    assert mean.count == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_terms_that_no_sum_can_tell_become_zero_and_none_is_denormal(dtype):
    x = torch.tensor([0.0, -1, -30, -60, -75, -100, -1e4, -torch.inf], dtype=dtype)
    found, top = Weights((1, 1, len(x)), torch.ones(1, len(x), dtype=dtype)).exp_(x[None, None].clone())
    found = found[0, 0]
    assert top.item() == 0
    torch.testing.assert_close(found[:4], x[:4].exp())
    assert (found[4:] == 0).all()


def test_a_zero_vector_has_no_direction_and_gets_no_gradient():
    z = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    torch.testing.assert_close(unit(z), torch.tensor([[0.0, 0.0], [0.6, 0.8]]))
    grad = torch.autograd.grad(unit(z)[:, 0].sum(), z)[0]
    torch.testing.assert_close(grad, torch.tensor([[0.0, 0.0], [0.128, -0.096]]))
    assert torch.autograd.gradcheck(unit, (torch.randn(3, 4, dtype=torch.float64, requires_grad=True),))


def test_a_memory_moves_its_slots_half_way_and_keeps_them_on_the_sphere():
    memory = MemoryBank(samples=5, width=4)
    before = memory.rows_of.clone()
    z = torch.randn(3, 4)
    memory.update(torch.tensor([4, 0, 4]), z)
    torch.testing.assert_close(memory.rows_of[1:4], before[1:4])
    torch.testing.assert_close(memory.rows_of[0], F.normalize(0.5 * before[0] + 0.5 * F.normalize(z[1], dim=0), dim=0))
    mean = F.normalize(F.normalize(z[[0, 2]], dim=1).sum(0), dim=0)
    torch.testing.assert_close(memory.rows_of[4], F.normalize(before[4] + mean, dim=0))
    twin = MemoryBank(samples=5, width=4, seed=1)
    twin.load_state_dict(memory.state_dict())
    assert torch.equal(twin.rows_of, memory.rows_of)


def test_estimates_are_running_means_that_begin_with_the_first_value():
    u = Estimates(samples=3, rate=0.25)
    own = u.update(torch.tensor([1, 1]), torch.tensor([2.0, 4.0]).log()).exp()  # each view has its own
    torch.testing.assert_close(own, torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(u.log_u[1].exp(), torch.tensor(3.0))  # what is kept is their mean
    own = u.update(torch.tensor([2, 1, 1]), torch.tensor([5.0, 7.0, 3.0]).log()).exp()
    torch.testing.assert_close(own, torch.tensor([5.0, 4.0, 3.0]))
    torch.testing.assert_close(u.log_u[1:].exp(), torch.tensor([3.5, 5.0]))
    assert u.log_u[0] == -torch.inf
    huge = Estimates(samples=1)
    assert huge.update(torch.tensor([0, 0]), torch.tensor([1000.0, 1000.0])).tolist() == [1000.0, 1000.0]


@pytest.mark.parametrize(("number", "width"), [(2, 3), (5, 8), (1, 4)])
def test_few_points_on_the_sphere_are_a_simplex(number, width):
    points = uniform_points(number, width, steps=300)
    torch.testing.assert_close(points.norm(dim=1), torch.ones(number))
    off = (points @ points.T)[~torch.eye(number, dtype=torch.bool)]
    torch.testing.assert_close(off, torch.full_like(off, -1 / max(number - 1, 1)), atol=2e-2, rtol=0)


def test_classes_take_the_targets_nearest_to_them_and_none_twice():
    points = uniform_points(6, 8, steps=50)
    order = torch.tensor([4, 0, 2, 5])
    assert assign(points[order] + 0.05 * torch.randn(4, 8), points).tolist() == order.tolist()
    assert len(set(assign(torch.zeros(6, 8), points).tolist())) == 6


@pytest.mark.parametrize(
    ("made", "settings"),
    [
        (Debiased, {"prior": 1.0}),
        (Debiased, {"temperature": 0.0}),
        (Distance, {"temperature": 0.0}),
        (Bilinear, {"temperature": -1.0}),
        (MemoryBank, {"samples": 3, "width": 2, "keep": 1.0}),
        (Estimates, {"samples": 3, "rate": 0.0}),
        (Temperatures, {"classes": 3, "temperature": 0.0}),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(made, settings):
    with pytest.raises(ValueError, match="expected"):
        made(**settings)
