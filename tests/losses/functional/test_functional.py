"""The losses on plain tensors: examples that run, the same on two ranks as on one, safe with whatever comes in."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import on_ranks
from kontrast.layers.estimates import Estimates
from kontrast.layers.memory_bank import MemoryBank
from kontrast.losses import functional as L
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.adapters import rows
from kontrast.losses.engine.class_counts import counts
from kontrast.losses.engine.contrast import per_row
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.balanced import Balanced
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.tile_weights import TILE
from tests.support.largest import Largest

BY_CLASS = torch.tensor([0.1, 0.3, 0.7], dtype=torch.float64)
POINTS = torch.nn.functional.normalize(torch.randn(3, 5, generator=torch.Generator().manual_seed(9)).double(), dim=1)


def multi(y):
    """Each class as a set of three labels."""
    return torch.tensor([[1, 0, 1], [1, 1, 0], [0, 1, 0]])[y]


def soft(y):
    return 0.8 * torch.eye(3, dtype=torch.float64)[y] + 0.1


# Of two views, the labels and the numbers of the samples.
CALLS = {
    "ntxent": lambda a, b, y, i: L.ntxent(a, b),
    "ntxent of three": lambda a, b, y, i: L.ntxent(a, b, a + b),
    "clip": lambda a, b, y, i: L.clip(a, b),
    "dcl": lambda a, b, y, i: L.dcl(a, b),
    "dclw": lambda a, b, y, i: L.dclw(a, b),
    "debiased": lambda a, b, y, i: L.debiased(a, b, prior=0.02),
    "hard_negative": lambda a, b, y, i: L.hard_negative(a, b, prior=0.02),
    "moco": lambda a, b, y, i: L.moco(a, b, POINTS.to(a.dtype)),
    "npair": lambda a, b, y, i: L.npair(a, b),
    "mil_nce": lambda a, b, y, i: L.mil_nce(a, torch.stack([b, a + b, b - a], 1)),
    "mil_nce, one way": lambda a, b, y, i: L.mil_nce(a, torch.stack([b, a + b, b - a], 1), both=False),
    "herocon_views": lambda a, b, y, i: L.herocon_views(a, b, a.sigmoid(), b.sigmoid()),
    "supcon": lambda a, b, y, i: L.supcon(torch.cat([a, b]), y.repeat(2)),
    "supcon, a temperature a class": lambda a, b, y, i: L.supcon(
        torch.cat([a, b]), y.repeat(2), temperature=BY_CLASS.to(a.dtype)
    ),
    "supcon_inside": lambda a, b, y, i: L.supcon_inside(torch.cat([a, b]), y.repeat(2)),
    "gensupcon": lambda a, b, y, i: L.gensupcon(torch.cat([a, b]), soft(y).repeat(2, 1)),
    "gensupcon, teacher": lambda a, b, y, i: L.gensupcon(
        torch.cat([a, b]), soft(y).repeat(2, 1), teacher=soft((y + 1) % 3).repeat(2, 1), alpha=0.5
    ),
    "soft_nearest_neighbour": lambda a, b, y, i: L.soft_nearest_neighbour(torch.cat([a, b]), y.repeat(2)),
    "multi_positive": lambda a, b, y, i: L.multi_positive(torch.cat([a, b]), y.repeat(2)),
    "kcl": lambda a, b, y, i: L.kcl(torch.cat([a, b]), y.repeat(2), i.repeat(2), k=2),
    "tsc": lambda a, b, y, i: L.tsc(torch.cat([a, b]), y.repeat(2), i.repeat(2), POINTS, k=2),
    "bcl": lambda a, b, y, i: L.bcl(torch.cat([a, b]), y.repeat(2), POINTS.to(a.dtype)),
    "paco": lambda a, b, y, i: L.paco(torch.cat([a, b]), y.repeat(2), POINTS),
    "paco, features": lambda a, b, y, i: L.paco(
        torch.cat([a, b]), y.repeat(2), POINTS, features=torch.cat([a, b]).flip(1).sigmoid()
    ),
    "fscl": lambda a, b, y, i: L.fscl(torch.cat([a, b]), y.repeat(2), i.repeat(2) % 2),
    "fscl, even": lambda a, b, y, i: L.fscl(torch.cat([a, b]), y.repeat(2), i.repeat(2) % 2, even=True),
    "herocon": lambda a, b, y, i: L.herocon(torch.cat([a, b]), multi(y).repeat(2, 1)),
    "rnc": lambda a, b, y, i: L.rnc(torch.cat([a, b]), (i * 7 % 11).repeat(2)),
    "instance_discrimination": lambda a, b, y, i: L.instance_discrimination(
        a, i, MemoryBank(samples=20, width=5).to(a.dtype if a.dtype == torch.float64 else torch.float32), proximal=1.0
    ),
    "instance_discrimination, noise": lambda a, b, y, i: L.instance_discrimination(
        a, i, MemoryBank(samples=20, width=5).to(a.dtype if a.dtype == torch.float64 else torch.float32),
        noise=torch.arange(5, 15),
    ),
    "sogclr": lambda a, b, y, i: L.sogclr(a, b, i, Estimates(samples=20)),
}  # fmt: skip


def batch(n=11, seed=0, width=5):
    g = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(n, width, generator=g, dtype=torch.float64) for _ in range(2))
    return a.requires_grad_(), b.requires_grad_(), torch.randint(0, 3, (n,), generator=g), torch.arange(n)


def test_every_function_has_an_example_and_is_called_here():
    names = {name.split(",")[0].split(" ")[0] for name in CALLS}
    elsewhere = ("by_query", "by_pair", "metric", "assignments", "preference")  # tested as pairs, and as modules
    assert names == {name for name in L.__all__ if getattr(L, name).__module__.split(".")[-1] not in elsewhere}
    assert all(">>>" in inspect.getdoc(getattr(L, name)) for name in L.__all__)


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(6, 12))
def test_the_order_of_samples_does_not_matter(call, seed, n):
    a, b, y, i = batch(n=n, seed=seed)
    y[:4] = torch.tensor([0, 0, 1, 2])  # somebody to attract and somebody to repel, in one group
    order = torch.randperm(len(i), generator=torch.Generator().manual_seed(seed))
    one, two = CALLS[call](a, b, y, i), CALLS[call](a[order], b[order], y[order], i[order])
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(torch.autograd.grad(one, a), torch.autograd.grad(two, a), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(6, 12))
def test_duplicates_give_finite_values_and_gradients(call, seed, n):
    a, b, y, i = batch(n=n, seed=seed)
    y[:4] = torch.tensor([0, 0, 1, 2])
    a, b = (z.detach()[torch.arange(n) // 2].requires_grad_() for z in (a, b))  # every sample twice
    loss = CALLS[call](a, b, y, i)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, a)[0]).all()
    same = a.detach()[:1].expand(n, -1).clone().requires_grad_()  # all collapsed onto one point
    assert torch.isfinite(torch.autograd.grad(CALLS[call](same, same * 1, y, i), same)[0]).all()


UNSCALED = {"npair", "paco, features", "mil_nce", "mil_nce, one way", "soft_nearest_neighbour", "rnc", "herocon_views"}


@pytest.mark.parametrize("call", [call for call in CALLS if call not in UNSCALED])
def test_what_is_compared_by_cosine_does_not_care_for_length(call):
    a, b, y, i = batch()
    torch.testing.assert_close(CALLS[call](a, b, y, i), CALLS[call](3 * a, 3 * b, y, i))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_half_precision_zeros_and_large_vectors_give_finite_values_and_gradients(call, size):
    a, b, y, i = batch()
    if call in UNSCALED and size > 1 and call != "herocon_views":
        size = 50.0  # bare dots of 1e4 are 1e8: their softmax is one row, but half precision holds no such gradient
    for dtype in (torch.float16, torch.bfloat16):
        left, right = ((size * z.detach()).to(dtype).requires_grad_() for z in (a, b))
        loss = CALLS[call](left, right, y, i)
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)
        assert torch.isfinite(torch.autograd.grad(loss, left)[0].float()).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(4, 12))
def test_copies_of_another_class_change_nothing_where_candidates_are_balanced(seed, n):
    a, b, y, _ = batch(n=n, seed=seed)
    keys = {"label": torch.cat([y, y])}
    once = rows(torch.cat([a, b]), keys)
    others = keys["label"] != y[0]
    more = rows(torch.cat([once.z, once.z[others]]), {"label": torch.cat([keys["label"], keys["label"][others]])})
    for relation, alike in ((SameKey("label") & Balanced(), True), (SameKey("label"), not others.any())):
        found = [
            per_row(
                Embeddings(r.z, {**r.keys, "count": counts(r.keys["label"])})[: 2 * n][~others],
                Embeddings(r.z, {**r.keys, "count": counts(r.keys["label"])}),
                relation,
                loss=InfoNCE(),
                kernel=Cosine(),
            )
            for r in (once, more)
        ]
        assert torch.allclose(*found) == alike


@pytest.mark.parametrize("inside", [False, True])
def test_each_class_has_its_own_temperature_and_may_learn_it(inside):
    a, b, y, _ = batch(seed=3)
    log = BY_CLASS.log().requires_grad_()
    loss = L.supcon_inside if inside else L.supcon
    value = loss(torch.cat([a, b]), y.repeat(2), temperature=log.exp())
    got = torch.autograd.grad(value, [a, b, log])

    z, label, slow = torch.cat([a, b]), y.repeat(2), []
    z = z / z.norm(dim=1, keepdim=True)
    for i in range(len(z)):
        s = {k: z[i] @ z[k] / log.exp()[label[i]] for k in range(len(z)) if k != i}
        mine = torch.stack([s[k] for k in s if label[k] == label[i]])
        positive = mine.exp().mean().log() if inside else mine.mean()
        slow.append(torch.stack(list(s.values())).exp().sum().log() - positive)
    slow = torch.stack(slow).mean()
    torch.testing.assert_close(value, slow)
    torch.testing.assert_close(got, torch.autograd.grad(slow, [a, b, log]))
    one = torch.full((3,), 0.2, dtype=torch.float64)
    same = loss(torch.cat([a, b]), y.repeat(2), temperature=0.2)
    torch.testing.assert_close(loss(torch.cat([a, b]), y.repeat(2), temperature=one), same)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(2, 12))
def test_soft_one_hot_is_hard_and_names_as_labels_are_nt_xent(seed, n):
    a, b, y, i = batch(n=n, seed=seed)
    z = torch.cat([a, b])
    torch.testing.assert_close(L.gensupcon(z, torch.eye(3)[y].repeat(2, 1)), L.supcon(z, y.repeat(2)))
    torch.testing.assert_close(L.supcon(z, i.repeat(2)), L.ntxent(a, b))
    torch.testing.assert_close(L.hard_negative(a, b, prior=0.0, hardness=0.0, temperature=0.1), L.ntxent(a, b))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(4, 12))
def test_a_row_alone_in_its_class_is_a_candidate_and_no_anchor(seed, n):
    a, b, y, _ = batch(n=n, seed=seed)
    z, labels = torch.cat([a, b]), y.repeat(2)
    odd = torch.randn(1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    loss = L.supcon(torch.cat([z, odd]), torch.cat([labels, torch.tensor([9])]))
    assert loss > L.supcon(z, labels)
    assert torch.isfinite(loss)


@pytest.mark.parametrize(
    "call",
    [
        lambda: L.supcon(torch.randn(4, 3), torch.arange(4)),
        lambda: L.kcl(torch.randn(4, 3), torch.arange(4), torch.arange(4)),
        lambda: L.dcl(torch.randn(1, 3), torch.randn(1, 3)),
        lambda: L.sogclr(torch.randn(1, 3), torch.randn(1, 3), torch.arange(1), Estimates(samples=1)),
        lambda: L.fscl(torch.randn(4, 3), torch.zeros(4), torch.zeros(4)),
        lambda: L.herocon(torch.randn(3, 3), torch.eye(3)),
        lambda: L.supcon_inside(torch.randn(4, 3), torch.arange(4)),
        lambda: L.gensupcon(torch.randn(3, 3), torch.eye(3)),
        lambda: L.gensupcon(torch.randn(3, 3), torch.eye(3), teacher=torch.eye(3)),
        lambda: L.soft_nearest_neighbour(torch.randn(4, 3), torch.arange(4)),
        lambda: L.multi_positive(torch.randn(4, 3), torch.arange(4)),
        lambda: L.bcl(torch.randn(4, 3), torch.arange(4)),
        lambda: L.rnc(torch.randn(1, 3), torch.ones(1)),
        lambda: L.fscl(torch.randn(4, 3), torch.zeros(4), torch.zeros(4), even=True),
        lambda: L.ntxent(torch.randn(4, 3)),
    ],
)
def test_nobody_with_a_positive_is_an_error_in_words(call):
    with pytest.raises(ValueError, match="has a positive"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: L.ntxent(torch.randn(4, 3), torch.randn(5, 3)), r"z1 \(4, 3\), z2 \(5, 3\); expected one shape"),
        (lambda: L.clip(torch.randn(4, 3), torch.randn(4, 2)), "one shape"),
        (lambda: L.supcon(torch.randn(2, 4, 3), torch.zeros(2)), r"a tensor \(2, 4, 3\); expected \(rows, width\)"),
        (lambda: L.supcon(torch.randn(4, 3), torch.zeros(2)), r"labels have shape \(2,\) for 4 rows"),
        (
            lambda: L.supcon(torch.randn(3, 2), torch.tensor([0, 1, 2]), temperature=torch.ones(2)),
            "labels from 0 to 2 for 2 classes; expected 0 to 1",
        ),
        (
            lambda: L.supcon(torch.randn(2, 2), torch.tensor([0, 0]), temperature=torch.zeros(2)),
            "temperatures as low as 0; expected more than 0",
        ),
        (
            lambda: L.supcon(torch.randn(2, 2), torch.tensor([0, 0]), temperature=torch.ones(2, 2)),
            r"a tensor \(2, 2\) of temperatures; expected \(classes,\), or a number",
        ),
        (lambda: L.mil_nce(torch.randn(4, 3), torch.randn(3, 2, 3)), "one shape"),
        (
            lambda: L.paco(torch.randn(4, 3), torch.zeros(4).long(), torch.randn(2, 5), features=torch.randn(3, 5)),
            "features has 3 rows for 4 embeddings",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused_in_words(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize("call", ["ntxent", "gensupcon, teacher", "kcl", "debiased", "mil_nce", "fscl, even", "rnc"])
def test_memory_grows_with_rows_and_not_with_their_square(call):
    a, b, y, i = batch(n=1024)  # 2048 x 2048 is four tiles
    with Largest() as largest:
        CALLS[call](a, b, y, i)
    assert 2048 < largest.numbers <= TILE


SPLIT = 4


def _rank(ranks):
    mine = slice(0, SPLIT) if ranks.rank == 0 else slice(SPLIT, None)
    found = {}
    for call in CALLS:
        a, b, y, i = (x[mine].detach() for x in batch())
        a.requires_grad_()
        b.requires_grad_()
        value = CALLS[call](a, b, y, i)
        value.backward()
        found[call] = [value.detach(), a.grad, b.grad]
    return found


@pytest.mark.timeout(120)
@pytest.mark.dist
def test_two_ranks_of_unequal_batches_give_the_gradient_of_one():
    parts = on_ranks(_rank, 2)
    for call in CALLS:
        a, b, y, i = batch()
        value = CALLS[call](a, b, y, i)
        value.backward()
        # Each rank's scalar and gradient are scaled by the number of ranks; DDP averages.
        torch.testing.assert_close(sum(p[call][0] for p in parts) / 2, value.detach(), rtol=1e-6, atol=1e-8, msg=call)
        for n, grad in ((1, a.grad), (2, b.grad)):
            if grad is None:
                continue
            found = torch.cat([p[call][n] for p in parts]) / 2
            torch.testing.assert_close(found, grad, rtol=1e-5, atol=1e-8, msg=call)
