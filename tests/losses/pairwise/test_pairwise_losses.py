"""Losses on the engine give the value and gradients of slow loops over explicit pairs and triplets, in any tiling."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.layers.proxies import Proxies, as_rows
from kontrast.losses import functional
from kontrast.losses.contrastive.jsd import JSD
from kontrast.losses.contrastive.siglip import SigLIP
from kontrast.losses.contrastive.spectral import Spectral
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.pairwise.arcface import ArcFace
from kontrast.losses.pairwise.circle import Circle
from kontrast.losses.pairwise.cosface import CosFace
from kontrast.losses.pairwise.multi_similarity import MultiSimilarity
from kontrast.losses.pairwise.proxy_anchor import ProxyAnchor
from kontrast.losses.pairwise.similarity_regression import SimilarityRegression
from kontrast.losses.pairwise.triplet import Triplet
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft
from tests.support.largest import Largest

softplus, relu = F.softplus, F.relu


def rows_of(n=7, views=2, width=6, classes=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    z = F.normalize(torch.randn(n * views, width, generator=g, dtype=torch.float64), dim=1).requires_grad_()
    label = torch.randint(0, classes, (n,), generator=g).repeat(views)
    label[0] = classes  # one row has no peer
    soft = torch.rand(n, classes, generator=g, dtype=torch.float64).repeat(views, 1)
    keys = {"id": torch.arange(n).repeat(views), "view": torch.arange(views).repeat_interleave(n)}
    return Embeddings(z, {**keys, "label": label, "soft": soft})


# Each slow loss sees one anchor: S, P, N as {candidate: number}; it returns (its loss, how much it counts) or None.


def sigmoid(S, P, N):
    return sum(P[j] * softplus(-(S[j] - 3)) + N[j] * softplus(S[j] - 3) for j in S), 1


def jsd(S, P, N):
    pull = sum(P[j] * (math.log(2) - softplus(-S[j])) for j in S) / sum(P.values())
    push = sum(N[j] * (softplus(-S[j]) + S[j] - math.log(2)) for j in S) / sum(N.values())
    return push - pull, 1


def spectral(S, P, N):
    pull, push = (sum(W[j] * f(S[j]) for j in S) / sum(W.values()) for W, f in ((P, lambda s: s), (N, lambda s: s * s)))
    return push - 2 * pull, 1


def regress(S, P, N):
    return sum(P[j] * (1 - S[j]) ** 2 + 0.3 * N[j] * S[j] ** 2 for j in S), 1


def circle(S, P, N, g=8, m=0.25):
    p, n = [j for j in S if P[j]], [j for j in S if N[j]]
    pull = sum((-g * relu(1 + m - S[j].detach()) * (S[j] - 1 + m)).exp() for j in p)
    push = sum((g * relu(S[j].detach() + m) * (S[j] - m)).exp() for j in n)
    return torch.log1p(pull * push), 1


def multi_similarity(S, P, N, slack=0.1):
    nearest, farthest = max(S[j] for j in S if N[j]), min(S[j] for j in S if P[j])
    pull = sum((-2 * (S[j] - 0.5)).exp() for j in S if P[j] and S[j] < nearest + slack)
    push = sum((50 * (S[j] - 0.5)).exp() for j in S if N[j] and S[j] > farthest - slack)
    return torch.log1p(torch.as_tensor(pull)) / 2 + torch.log1p(torch.as_tensor(push)) / 50, 1


def triplets(phi, mined):
    def loss(S, P, N):
        p, n = [j for j in S if P[j]], [j for j in S if N[j]]
        if mined == "all":
            three = [(j, k, P[j] * N[k]) for j in p for k in n]
        elif mined == "hard":
            three = [(min(p, key=lambda j: S[j]), max(n, key=lambda k: S[k]), 1)]
        else:
            farther = [[k for k in n if S[k] < S[j]] for j in p]
            far = min(n, key=lambda k: S[k])
            three = [(j, max(f, key=lambda k: S[k]) if f else far, P[j]) for j, f in zip(p, farther, strict=True)]
        count = sum(w for *_, w in three)
        return sum(w * phi(S[k] - S[j] + 0.2) for j, k, w in three) / count, count

    return loss


def arcface(S, P, N):
    logits = {}
    for j in S:
        turned = torch.cos(torch.acos(S[j]) + 0.5) if S[j] > math.cos(math.pi - 0.5) else S[j] - 0.5 * math.sin(0.5)
        logits[j] = 8 * (turned if P[j] else S[j])
    (own,) = [j for j in S if P[j]]
    return torch.stack([*logits.values()]).logsumexp(0) - logits[own], 1


def cosface(S, P, N):
    logits = {j: 8 * (S[j] - 0.35 * P[j]) for j in S}
    (own,) = [j for j in S if P[j]]
    return torch.stack([*logits.values()]).logsumexp(0) - logits[own], 1


def pull(S, P, N):
    return torch.log1p(sum(P[j] * (-8 * (S[j] - 0.1)).exp() for j in S)), 1


def push(S, P, N):
    return torch.log1p(sum(N[j] * (8 * (S[j] + 0.1)).exp() for j in S)), 1


LABEL, SOFT = SameKey("label"), Soft("soft")
CASES = {
    "sigmoid": (SigLIP(bias=-3), sigmoid, LABEL, "attracted"),
    "sigmoid soft": (SigLIP(bias=-3), sigmoid, SOFT, "attracted"),
    "jsd": (JSD(), jsd, LABEL, "attracted"),
    "jsd soft": (JSD(), jsd, SOFT, "attracted"),
    "spectral": (Spectral(), spectral, LABEL, "attracted"),
    "regress": (SimilarityRegression(off=0.3), regress, LABEL, "all"),
    "circle": (Circle(scale=8), circle, LABEL, "both"),
    "multi-similarity": (MultiSimilarity(), multi_similarity, LABEL, "attracted"),
    "triplet all": (Triplet(), triplets(relu, "all"), LABEL, "both"),
    "triplet all weighed": (Triplet(), triplets(relu, "all"), SOFT, "both"),
    "triplet all soft": (Triplet(soft=True), triplets(softplus, "all"), LABEL, "both"),
    "triplet all soft weighed": (Triplet(soft=True), triplets(softplus, "all"), SOFT, "both"),
    "triplet semihard": (Triplet(triplets="semihard"), triplets(relu, "semihard"), LABEL, "both"),
    "triplet semihard soft": (Triplet(triplets="semihard", soft=True), triplets(softplus, "semihard"), LABEL, "both"),
    "triplet hard": (Triplet(triplets="hard"), triplets(relu, "hard"), LABEL, "both"),
    "triplet hard soft": (Triplet(triplets="hard", soft=True), triplets(softplus, "hard"), LABEL, "both"),
    "arcface": (ArcFace(scale=8), arcface, LABEL, "proxies"),
    "cosface": (CosFace(scale=8), cosface, LABEL, "proxies"),
    "proxy-anchor pull": (ProxyAnchor(scale=8), pull, LABEL, "anchored"),
    "proxy-anchor push": (ProxyAnchor(side="push", scale=8), push, LABEL, "all anchored"),
}


def problem(who, seed=0):
    rows = rows_of(seed=seed)
    if who in ("proxies", "anchored", "all anchored"):
        g = torch.Generator().manual_seed(seed + 1)
        centres = torch.randn(6, 6, generator=g, dtype=torch.float64)  # six classes, one of them without a row
        proxies = as_rows(F.normalize(centres, dim=1).requires_grad_())
        return (rows, proxies) if who == "proxies" else (proxies, rows)
    return rows, rows


def weight(relation, a, c, i, j):
    if isinstance(relation, Soft):
        return F.cosine_similarity(a.keys["soft"][i], c.keys["soft"][j], dim=0).item()
    return float(a.keys["label"][i] == c.keys["label"][j])


def slow(anchors, candidates, relation, loss, who):
    total, count = 0.0, 0.0
    for i in range(len(anchors)):
        others = [j for j in range(len(candidates)) if anchors is not candidates or j != i]
        P = {j: weight(relation, anchors, candidates, i, j) for j in others}
        N = {j: 1 - P[j] for j in others}
        needed = {"attracted": P, "anchored": P, "proxies": P}.get(who)
        if (needed and not sum(needed.values())) or (who == "both" and not (sum(P.values()) and sum(N.values()))):
            continue
        each, counts = loss({j: anchors.z[i] @ candidates.z[j] for j in others}, P, N)
        total, count = total + counts * each, count + counts
    return total / count


@pytest.mark.parametrize("case", CASES)
def test_a_loss_equals_its_slow_loop_in_value_and_gradient_in_every_tiling(case):
    loss, oracle, relation, who = CASES[case]
    anchors, candidates = problem(who)
    leaves = [anchors.z] if anchors is candidates else [anchors.z, candidates.z]
    expected = slow(anchors, candidates, relation, oracle, who)
    slopes = torch.autograd.grad(expected, leaves)
    for tile in (1, 40, 1 << 20):
        value = contrast(anchors, candidates, relation, loss=loss, kernel=Dot(), tile=tile).value()
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(torch.autograd.grad(value, leaves), slopes, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("case", ["sigmoid", "sigmoid soft", "regress", "triplet all soft", "triplet all soft weighed"])
def test_a_slope_of_its_own_is_autograds(case):
    loss, _, relation, _ = CASES[case]
    rows = rows_of()
    own = contrast(rows, rows, relation, loss=loss, kernel=Dot()).value()

    class Plain(ContrastiveLoss):
        def __init__(self):
            super().__init__()
            self.loss = loss

        per_anchor = staticmethod(loss.per_anchor)
        counted = staticmethod(loss.counted)

    plain = contrast(rows, rows, relation, loss=Plain(), kernel=Dot()).value()
    leaves = [rows.z, *loss.parameters()]
    torch.testing.assert_close(own, plain)
    torch.testing.assert_close(torch.autograd.grad(own, leaves), torch.autograd.grad(plain, leaves))


def test_a_fixed_bias_is_no_parameter_and_a_learned_one_has_the_slope_of_finite_differences():
    rows = rows_of()
    assert not list(SigLIP(learnable=False).parameters())

    def value(bias):
        loss = SigLIP()
        loss.bias.data = torch.tensor(bias, dtype=torch.float64)
        return contrast(rows, rows, LABEL, loss=loss, kernel=Dot()).value(), loss.bias

    here, bias = value(-2.0)
    (slope,) = torch.autograd.grad(here, bias)
    assert slope.item() == pytest.approx((value(-2 + 1e-5)[0] - value(-2 - 1e-5)[0]).item() / 2e-5, rel=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_no_tensor_is_larger_than_the_tile_or_the_rows(case):
    loss, _, relation, who = CASES[case]
    torch.manual_seed(0)
    rows = Embeddings(
        F.normalize(torch.randn(300, 8), dim=1),
        {
            "id": torch.arange(300),
            "view": torch.zeros(300, dtype=torch.long),
            "label": torch.arange(300) % 30,
            "soft": torch.rand(300, 3),
        },
    )
    anchors = as_rows(F.normalize(torch.randn(30, 8), dim=1)) if "anchored" in who else rows
    candidates = as_rows(F.normalize(torch.randn(30, 8), dim=1)) if who == "proxies" else rows
    tile = 8 * 300
    with Largest() as largest:
        contrast(anchors, candidates, relation, loss=loss, kernel=Dot(), tile=tile)
    # A list of pairs that attract is sorted whole; Soft meets three classes at a time.
    assert largest.numbers <= max(3 * tile, 300 * 10)


LABELLED = {
    "triplet": functional.triplet,
    "triplet soft": lambda z, y: functional.triplet(z, y, soft=True),
    "semihard": lambda z, y: functional.triplet(z, y, triplets="semihard"),
    "hard": lambda z, y: functional.triplet(z, y, triplets="hard"),
    "circle": functional.circle,
    "multi-similarity": functional.multi_similarity,
    "arcface": lambda z, y: functional.arcface(z, y, torch.eye(8)[:, : z.shape[1]]),
    "cosface": lambda z, y: functional.cosface(z, y, torch.eye(8)[:, : z.shape[1]]),
    "proxy-anchor": lambda z, y: functional.proxy_anchor(z, y, torch.eye(8)[:, : z.shape[1]]),
}
FACING = {"siglip": functional.siglip, "jsd": functional.jsd, "spectral": functional.spectral}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(4, 14))
def test_neither_the_order_of_the_batch_nor_the_length_of_what_lies_on_the_sphere_matters(seed, n):
    g = torch.Generator().manual_seed(seed)
    z, z2 = (torch.randn(n, 6, generator=g, dtype=torch.float64) for _ in "12")
    y = torch.arange(n) % 3
    order = torch.randperm(n, generator=g)
    for loss in LABELLED.values():
        torch.testing.assert_close(loss(z, y), loss(z[order], y[order]))
        torch.testing.assert_close(loss(z, y), loss(3 * z, y))  # all on the sphere
    for loss in FACING.values():
        torch.testing.assert_close(loss(z, z2), loss(z[order], z2[order]))
    torch.testing.assert_close(functional.siglip(z, z2), functional.siglip(3 * z, 7 * z2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("size", [0.0, 1.0, 6e4])
def test_rows_of_any_size_in_any_precision_and_duplicates_give_no_nan(dtype, size):
    torch.manual_seed(0)
    one, two = (F.normalize(torch.randn(12, 8), dim=1) * size for _ in "12")
    one[1], one[2] = one[0], one[0]
    labels = torch.arange(12) // 3 % 4
    for name, loss in {**LABELLED, **FACING}.items():
        z, z2 = (x.to(dtype).requires_grad_() for x in (one, two))
        value = loss(z, labels) if name in LABELLED else loss(z, z2)
        assert torch.isfinite(value), name
        if name not in ("jsd", "spectral") or size < 6e4:  # of bare products that size, no half holds the true slope
            assert torch.isfinite(torch.autograd.grad(value, z)[0]).all(), name


@pytest.mark.parametrize("name", ["jsd", "spectral", "vicreg"])
@pytest.mark.parametrize("size", [1.0, 6e4])
def test_half_precision_has_of_a_bare_products_slope_what_it_can_hold_and_nothing_is_clipped(name, size):
    g = torch.Generator().manual_seed(0)
    one, two = (F.normalize(torch.randn(12, 8, generator=g), dim=1) * size for _ in "12")
    for dtype in (torch.float16, torch.bfloat16):
        slopes = []
        for held in (dtype, torch.float32):
            z, z2 = (x.to(dtype).to(held).requires_grad_() for x in (one, two))
            slopes += torch.autograd.grad(getattr(functional, name)(z, z2), z)
        torch.testing.assert_close(slopes[0], slopes[1].to(dtype))
        assert slopes[0].isfinite().all() or dtype == torch.float16


def test_identical_rows_give_no_nan():
    z = torch.ones(8, 4, requires_grad=True)
    for name, loss in LABELLED.items():
        value = loss(z, torch.arange(8) // 2)
        assert torch.isfinite(value), name
        assert torch.isfinite(torch.autograd.grad(value, z)[0]).all(), name


@pytest.mark.parametrize("name", ["triplet", "triplet soft", "semihard", "hard", "circle"])
def test_an_anchor_without_a_triplet_counts_nothing_and_nobody_with_one_is_an_error_in_words(name):
    z = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 1, 1, 2, 3])  # the last two are anchors of nothing
    loss = {"triplet": Triplet(), "triplet soft": Triplet(soft=True), "circle": Circle()}.get(name)
    loss = loss or Triplet(triplets=name)
    keys = {"id": torch.arange(6), "view": torch.zeros(6, dtype=torch.long), "label": labels}
    mean = contrast(Embeddings(z, keys), Embeddings(z, keys), LABEL, loss=loss, kernel=Dot())
    assert mean.count == (16 if "triplet" in name else 4)  # four anchors, each with one attractor and four repellers
    for nothing in (torch.zeros(6, dtype=torch.long), torch.arange(6)):  # one class only; six classes of one row
        with pytest.raises(UserError, match="label that two rows have, and a row of another label"):
            LABELLED[name](z, nothing)


def test_sorted_hinges_are_as_exact_in_single_precision_as_a_loop_over_triplets():
    g = torch.Generator().manual_seed(0)
    z, labels = torch.randn(600, 8, generator=g) * 0.01 + 5, torch.arange(600) % 30  # nearly one direction
    single = z.clone().requires_grad_()
    double = z.double().requires_grad_()
    values = [functional.triplet(x, labels, margin=1e-6) for x in (single, double)]
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-2)
    (one,), (two,) = (torch.autograd.grad(v, x) for v, x in zip(values, (single, double), strict=True))
    assert F.cosine_similarity(one.double().flatten(), two.flatten(), dim=0) > 0.999


def test_proxies_are_rows_with_their_class_for_a_label_and_learn():
    proxies = Proxies(classes=5, width=3)
    rows = proxies()
    assert rows.keys["label"].tolist() == [0, 1, 2, 3, 4]
    functional.arcface(torch.randn(4, 3), torch.tensor([0, 1, 2, 3]), proxies.centres).backward()
    assert proxies.centres.grad.abs().sum() > 0
    with pytest.raises(UserError, match="classes=0"):
        Proxies(classes=0, width=3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: functional.arcface(torch.ones(2, 3), torch.tensor([0, 5]), torch.eye(3)), "labels from 0 to 5 for 3"),
        (lambda: functional.triplet(torch.ones(2, 3), torch.tensor([0])), r"labels have shape \(1,\) for 2 rows"),
        (
            lambda: functional.siglip(torch.ones(2, 3), torch.ones(3, 3)),
            r"z1 \(2, 3\), z2 \(3, 3\); expected one shape",
        ),
        (lambda: functional.circle(torch.ones(3), torch.zeros(3)), r"a tensor \(3,\); expected \(rows, width\)"),
        (lambda: MultiSimilarity(push=0), "push=0; expected a finite number above 0"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
