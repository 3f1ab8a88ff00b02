"""Losses of aligned pairs, features, assignments and preferences equal slow float64 loops, and two ranks equal one."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.normalize import sphere
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.layers.centre import Centre
from kontrast.layers.prototypes import Prototypes
from kontrast.losses import functional
from kontrast.losses.alignment.alignment import Alignment
from kontrast.losses.alignment.negative_cosine import NegativeCosine
from kontrast.losses.clustering.swav import SwAV, sinkhorn
from kontrast.losses.tile_weights import TILE
from tests.support.largest import Largest

pytestmark = pytest.mark.quick

N, D = 11, 4


def two(seed=0, n=N, width=D):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(n, width, generator=g, dtype=torch.float64, requires_grad=True) for _ in "12"]


def unit(v):
    return v / v.square().sum().sqrt()


def each(z, f):
    return torch.stack([f(row) for row in z])


def slow_byol(x, y):
    return sum(2 - 2 * unit(a) @ unit(b.detach()) for a, b in zip(x, y, strict=True)) / len(x)


def slow_align_uniform(x, y):
    align = sum((unit(a) - unit(b)).square().sum() for a, b in zip(x, y, strict=True)) / len(x)
    for z in (x, y):
        u = each(z, unit)
        far = [(-2 * (u[i] - u[j]).square().sum()).exp() for i in range(len(u)) for j in range(len(u)) if i != j]
        align = align + (sum(far) / len(far)).log() / 2
    return align


def columns(z, correction, eps=0.0):
    out = []
    for k in range(z.shape[1]):
        c = z[:, k] - z[:, k].sum() / len(z)
        out.append((c, (c.square().sum() / (len(z) - correction) + eps).sqrt()))
    return out


def slow_barlow(x, y):
    a, b = ([c / s for c, s in columns(z, 0, 1e-5)] for z in (x, y))
    C = [[(p * q).sum() / len(x) for q in b] for p in a]
    return sum((1 - C[i][j]) ** 2 if i == j else 0.005 * C[i][j] ** 2 for i in range(D) for j in range(D))


def slow_vicreg(x, y):
    total = 25 * (x - y).square().sum() / x.numel()
    for z in (x, y):
        features = columns(z, 1, 1e-4)
        total = total + 25 / 2 * sum(F.relu(1 - s) for _, s in features) / D
        for i, (p, _) in enumerate(features):
            total = total + sum(((p * q).sum() / (len(z) - 1)) ** 2 for j, (q, _) in enumerate(features) if j != i) / D
    return total


def slow_wmse(x, y, size=5):
    total, groups = 0, len(x) // size
    for g in range(groups):
        white = []
        for z in (x, y):
            c = z[g * size : (g + 1) * size]
            c = c - c.mean(0)
            K = 0.9 * c.T @ c / (size - 1) + 0.1 * torch.eye(D, dtype=c.dtype)
            white.append(c @ torch.linalg.inv(torch.linalg.cholesky(K)).T)
        total = total + sum(2 - 2 * unit(a) @ unit(b) for a, b in zip(*white, strict=True))
    return total / (groups * size)


GOLD = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5])


def slow_ranked(s):
    golds = GOLD.tolist()
    return torch.log1p(sum((20 * (s[j] - s[i])).exp() for i in range(N) for j in range(N) if golds[i] > golds[j]))


def slow_cosent(x, y):
    return slow_ranked([unit(a) @ unit(b) for a, b in zip(x, y, strict=True)])


def slow_angle(x, y):
    out = []
    for a, b in zip(x, y, strict=True):
        z, w = (torch.complex(v[: D // 2], v[D // 2 :]) for v in (a, b))
        # Division as the paper has it: in the length |w|^2 of the whole row, then by |z| / |w|.
        ratio = (z * w.conj()).sum() / b.square().sum() / (a.square().sum() / b.square().sum()).sqrt()
        out.append((ratio.real + ratio.imag).abs())
    return slow_ranked(out)


def slow_codes(scores):
    """Sinkhorn-Knopp on plain numbers."""
    Q = [[math.exp(v / 0.05) for v in row] for row in scores.tolist()]
    B, K = len(Q), len(Q[0])
    for _ in range(3):
        for k in range(K):
            total = sum(Q[b][k] for b in range(B))
            for b in range(B):
                Q[b][k] /= total * K
        for b in range(B):
            total = sum(Q[b])
            Q[b] = [v / total / B for v in Q[b]]
    return [[v * B for v in row] for row in Q]


def slow_predicted(codes, scores, temperature):
    total = 0
    for q, row in zip(codes, scores, strict=True):
        log_p = row / temperature - (row / temperature).exp().sum().log()
        total = total - sum(float(a) * b for a, b in zip(q, log_p, strict=True))
    return total / len(scores)


def slow_swav(x, y):
    x, y = each(x, unit), each(y, unit)
    return (slow_predicted(slow_codes(x), y, 0.1) + slow_predicted(slow_codes(y), x, 0.1)) / 2


def slow_dino(x, y):
    total = 0
    for teacher, student in ((x, y), (y, x)):
        soft = [[math.exp((v - 0.2) / 0.04) for v in row] for row in teacher.tolist()]
        total = total + slow_predicted([[v / sum(row) for v in row] for row in soft], student, 0.1) / 2
    return total


SLOW = {
    "byol": (functional.byol, slow_byol),
    "align_uniform": (functional.align_uniform, slow_align_uniform),
    "barlow": (functional.barlow, slow_barlow),
    "vicreg": (functional.vicreg, slow_vicreg),
    "wmse": (lambda x, y: functional.wmse(x, y, size=5, shrink=0.1), slow_wmse),
    "cosent": (lambda x, y: functional.cosent(x, y, GOLD), slow_cosent),
    "angle": (lambda x, y: functional.angle(x, y, GOLD), slow_angle),
    "swav": (lambda x, y: functional.swav([sphere(x), sphere(y)]), slow_swav),
    "dino": (lambda x, y: functional.dino([x, y], [x, y], torch.full((D,), 0.2, dtype=torch.float64)), slow_dino),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_loss_equals_its_slow_loop_in_value_and_gradient(name):
    fast, slow = SLOW[name]
    x, y = two()
    values, slopes = [], []
    for loss in (fast, slow):
        values.append(loss(x, y))
        slopes.append(torch.autograd.grad(values[-1], (x, y), allow_unused=True))
    torch.testing.assert_close(values[0], values[1], rtol=1e-9, atol=1e-11)
    for one, other in zip(*slopes, strict=True):
        zero = torch.zeros_like(x)
        torch.testing.assert_close(zero if one is None else one, zero if other is None else other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["barlow", "vicreg", "align_uniform", "cosent"])
def test_no_square_of_features_or_of_pairs_is_held_beyond_a_tile(name):
    n, width = {"barlow": (4, 1800), "vicreg": (4, 1800), "align_uniform": (1800, 2), "cosent": (1800, 2)}[name]
    x, y = (z.detach().float().requires_grad_() for z in two(n=n, width=width))
    with Largest() as largest:
        if name == "cosent":
            functional.cosent(x, y, torch.rand(n)).backward()
        else:
            getattr(functional, name)(x, y).backward()
    assert largest.numbers <= (10 * n if name == "cosent" else TILE)
    assert TILE < 1800 * 1800


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(6, 12))
def test_the_order_of_the_batch_does_not_matter(seed, n):
    x, y = (z.detach() for z in two(seed, n))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    gold = torch.arange(n) % 4
    for loss in (
        functional.byol,
        functional.align_uniform,
        functional.barlow,
        functional.vicreg,
        functional.wmse,
        lambda a, b: functional.swav([F.normalize(a), F.normalize(b)]),
        lambda a, b: functional.dino([a, b], [a, b]),
    ):
        torch.testing.assert_close(loss(x[order], y[order]), loss(x, y))
    for loss in (functional.cosent, functional.angle):
        torch.testing.assert_close(loss(x[order], y[order], gold[order]), loss(x, y, gold))


@pytest.mark.parametrize("name", ["byol", "align_uniform", "barlow", "wmse", "cosent", "angle"])
def test_length_does_not_matter_where_directions_or_correlations_are_compared(name):
    x, y = (z.detach() for z in two())
    loss = {**{n: f for n, (f, _) in SLOW.items()}, "wmse": lambda a, b: functional.wmse(a, b, shrink=0.0)}[name]
    # Barlow Twins adds 1e-5 to the variances, as BatchNorm does.
    torch.testing.assert_close(loss(3 * x, 7 * y), loss(x, y), rtol=1e-4 if name == "barlow" else 1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("size", [0.0, 1.0, 6e4])
def test_rows_of_any_size_in_any_precision_give_no_nan(dtype, size):
    x, y = (F.normalize(z.detach()) * size for z in two())
    x[0], y[1] = 0, 0
    x, y = (z.to(dtype).requires_grad_() for z in (x, y))
    for name, (loss, _) in SLOW.items():
        value = loss(x, y)
        assert torch.isfinite(value), name
        (slope,) = torch.autograd.grad(value, x)
        # What is not normalised has, at this size, a slope that no half can hold.
        assert torch.isfinite(slope).all() or (dtype == torch.float16 and name == "vicreg" and size > 1), name


def test_sinkhorn_fills_prototypes_evenly_and_every_row_sums_to_one_at_any_temperature():
    torch.manual_seed(0)
    scores = Prototypes(width=8, prototypes=12)(torch.randn(96, 8))
    assert scores.abs().max() <= 1 + 1e-6
    for epsilon in (0.05, 0.5):
        q = sinkhorn(scores / epsilon, Ranks(), iterations=200)
        torch.testing.assert_close(q.sum(1), torch.ones(96))
        torch.testing.assert_close(q.sum(0), torch.full((12,), 8.0), rtol=0.02, atol=0)
    for scale in (1e-3, 1e3, 1e6):
        assert torch.isfinite(sinkhorn(scores * scale, Ranks(), iterations=3)).all()
    assert not SwAV().targets(scores, Ranks()).requires_grad


def test_a_centre_follows_the_mean_of_the_scores_and_is_saved():
    centre = Centre(width=3, momentum=0.5)
    scores = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    centre.update(scores, Ranks())
    torch.testing.assert_close(centre.mean, torch.tensor([1.0, 1.0, 1.0]))
    centre.update(torch.stack([scores, scores]), Ranks())
    torch.testing.assert_close(centre(scores), scores - 1.5)
    centre.update(scores[:0], Ranks())
    assert centre.state_dict()["mean"].tolist() == [1.5, 1.5, 1.5]


def test_a_stopped_target_gets_no_gradient_and_an_unstopped_one_does():
    x, y = two()
    keys = {"id": torch.arange(N), "view": torch.zeros(N, dtype=torch.long)}
    for stop in (True, False):
        mean = NegativeCosine(stop=stop)(Embeddings(x, keys), Embeddings(y, keys))
        assert mean.count == N
        (slope,) = torch.autograd.grad(mean.value(), y, allow_unused=True)
        assert (slope is None) == stop


def test_alignment_of_equal_rows_is_zero_and_has_a_finite_slope_for_any_power():
    x, _ = two()
    for power in (1.0, 2.0, 3.0):
        rows = Embeddings(x, {})
        value = Alignment(power=power)(rows, rows).value()
        assert value.item() == pytest.approx(0, abs=1e-5)
        assert torch.isfinite(torch.autograd.grad(value, x)[0]).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: functional.barlow(x, y[1:]), r"z1 \(11, 4\), z2 \(10, 4\); expected one shape"),
        (lambda x, y: functional.vicreg(x[:1], y[:1]), "vicreg: a batch of 1, on all ranks together"),
        (
            lambda x, y: functional.wmse(x[:3], y[:3], shrink=0),
            "wmse: a covariance of 3 rows of width 4 has no full rank",
        ),
        (lambda x, y: functional.wmse(x, y, size=20), "wmse: 11 rows on all ranks, groups of 20"),
        (
            lambda x, y: functional.cosent(x, y, torch.ones(N)),
            "cosent: nothing to compare .* no two pairs have different",
        ),
        (lambda x, y: functional.cosent(x, y, torch.ones(3)), r"scores have shape \(3,\) for 11 rows"),
        (
            lambda x, y: functional.angle(x[:, :3], y[:, :3], GOLD),
            "angle: embeddings of width 3; expected an even width",
        ),
        (lambda x, y: SwAV(epsilon=0), "epsilon=0; expected a finite number above 0"),
        (lambda x, y: Centre(width=2, momentum=1), "centre: momentum=1: expected 0 or more, below 1"),
        (lambda x, y: functional.byol(x[:0], y[:0]), "an empty batch"),
        (lambda x, y: functional.align_uniform(x[:0], y[:0]), "an empty batch"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call(*two())


def gradients(rows, weight, proxies):
    """The gradient of every function in `weight` (and in the proxies), from some rows of one data set."""
    g = torch.Generator().manual_seed(5)
    a, b = (torch.randn(14, D, generator=g, dtype=torch.float64)[rows] for _ in "12")
    y, gold = (torch.arange(14) % 4)[rows], torch.rand(14, generator=g)[rows]
    n = (torch.arange(14) % 5 + 1)[rows]
    found = {}
    for name, loss in {
        "siglip": lambda x, z: functional.siglip(x, z),
        "jsd": functional.jsd,
        "spectral": functional.spectral,
        "triplet": lambda x, z: functional.triplet(x, y),
        "triplet soft": lambda x, z: functional.triplet(x, y, soft=True),
        "semihard": lambda x, z: functional.triplet(x, y, triplets="semihard"),
        "hard": lambda x, z: functional.triplet(x, y, triplets="hard"),
        "circle": lambda x, z: functional.circle(x, y, scale=8),
        "multi_similarity": lambda x, z: functional.multi_similarity(x, y),
        "arcface": lambda x, z: functional.arcface(x, y, proxies),
        "cosface": lambda x, z: functional.cosface(x, y, proxies),
        "proxy_anchor": lambda x, z: functional.proxy_anchor(x, y, proxies),
        "byol": functional.byol,
        "align_uniform": functional.align_uniform,
        "barlow": functional.barlow,
        "vicreg": functional.vicreg,
        "wmse": functional.wmse,
        "cosent": lambda x, z: functional.cosent(x, z, gold),
        "angle": lambda x, z: functional.angle(x, z, gold),
        "swav": lambda x, z: functional.swav([F.normalize(x), F.normalize(z)]),
        "dino": lambda x, z: functional.dino([x, z], [x, z]),
        "bpr": lambda x, z: functional.bpr(x[:, 0], z[:, 0]),
        "dpo": lambda x, z: functional.dpo(x[:, 0], z[:, 0], x[:, 1], z[:, 1]),
        "simpo": lambda x, z: functional.simpo(x[:, 0], z[:, 0], n, n),
        "cpl": lambda x, z: functional.cpl(x, z),
        "click": lambda x, z: functional.click(x[:, 0], z[:, 0], margin=0.1),
    }.items():
        weight.grad = proxies.grad = None
        value = loss(a @ weight, b @ weight)
        value.backward()
        slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in (weight, proxies)]
        found[name] = torch.cat([value.detach()[None], *(s.flatten() for s in slopes)])
    return found


def leaves():
    g = torch.Generator().manual_seed(9)
    return [torch.randn(D, D, generator=g, dtype=torch.float64).requires_grad_() for _ in "12"]


def one_of_two(ranks):
    found = gradients(slice(0, 5) if ranks.rank == 0 else slice(5, 14), *leaves())
    # DDP's average; the value on a rank is its share, so it averages too
    return {name: ranks.sum(value) / 2 for name, value in found.items()}


@pytest.mark.dist
def test_two_uneven_ranks_find_the_values_and_gradients_of_one():
    together, _ = on_ranks(one_of_two, 2)
    alone = gradients(slice(0, 14), *leaves())
    for name, value in alone.items():
        torch.testing.assert_close(
            together[name], value, rtol=1e-8, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}"
        )
