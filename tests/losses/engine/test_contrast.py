"""The engine gives the value and gradients of slow float64 loops, in any tiling, for its own losses and a user's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings, Stack
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.siglip import SigLIP
from kontrast.losses.contrastive.supcon_inside import SupConInside
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft
from kontrast.losses.relations.within_group import WithinGroup

pytestmark = pytest.mark.quick


class Plain(ContrastiveLoss):
    """A user's own loss: dense matrices and autograd, no tuned slope."""

    def per_anchor(self, similarity, positives, candidates):
        P, Q = positives.dense(), candidates.dense()
        log_mass = torch.where(Q.bool(), similarity, -torch.inf).logsumexp(-1)
        return log_mass - (P * similarity).sum(-1) / P.sum(-1).clamp_min(1e-12)


def rows_of(n=18, views=2, width=16, classes=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n * views, width, generator=g, dtype=torch.float64, requires_grad=True)
    ids = torch.arange(n).repeat(views)
    label = torch.randint(0, classes, (n,), generator=g).repeat(views)
    soft = torch.rand(n, classes, generator=g, dtype=torch.float64).repeat(views, 1)
    keys = {
        "id": ids,
        "view": torch.arange(views).repeat_interleave(n),
        "label": label,
        "soft": soft,
        "group": label % 2,
    }
    return Embeddings(z, {**keys, "content": torch.where(ids < 4, ids // 2, ids)})


def slow(rows, positives, candidates, temperature):
    """log sum_k Q e^S - sum_j P S / sum P by explicit pairs; anchors without a positive are left out."""
    z, total, counted = F.normalize(rows.z.detach(), dim=1), 0.0, 0
    keys = {k: v.tolist() for k, v in rows.keys.items()}
    at = [{k: v[i] for k, v in keys.items()} for i in range(len(z))]
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        P = {j: float(positives(at[i], at[j])) for j in others}
        if not sum(P.values()):
            continue
        S = {j: float(z[i] @ z[j]) / temperature for j in others}
        mass = math.fsum(math.exp(S[k]) for k in others if candidates(at[i], at[k]))
        total += math.log(mass) - math.fsum(P[j] * S[j] for j in others) / math.fsum(P.values())
        counted += 1
    return total / counted


def cosine(p, q):
    dot = sum(a * b for a, b in zip(p, q, strict=True))
    return dot / math.sqrt(sum(a * a for a in p) * sum(b * b for b in q))


CASES = {
    "nt-xent": (SameKey("id"), lambda a, b: a["id"] == b["id"], lambda a, b: True),
    "supcon": (SameKey("label"), lambda a, b: a["label"] == b["label"], lambda a, b: True),
    "decoupled": (SameKey("id", apart=True), lambda a, b: a["id"] == b["id"], lambda a, b: a["id"] != b["id"]),
    "gensupcon": (Soft("soft"), lambda a, b: cosine(a["soft"], b["soft"]), lambda a, b: True),
    "within": (
        SameKey("id") & WithinGroup("group"),
        lambda a, b: a["id"] == b["id"] and a["group"] == b["group"],
        lambda a, b: a["group"] == b["group"],
    ),
    "twins": (
        SameKey("id") & ExcludeDuplicates("content"),
        lambda a, b: a["id"] == b["id"],
        lambda a, b: a["id"] == b["id"] or a["content"] != b["content"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_engine_equals_a_slow_loop_in_every_tiling_for_tuned_and_plain_losses(case):
    relation, positives, candidates = CASES[case]
    rows = rows_of()
    expected = slow(rows, positives, candidates, 0.2)
    kernel = Cosine(temperature=0.2, learnable=True).double()
    kernel.log_scale.data = torch.tensor(1 / 0.2, dtype=torch.float64).log()
    found = []
    for loss in (InfoNCE(), Plain()):
        for tile in (1, 50, 1 << 20):
            value = contrast(rows, rows, relation, loss=loss, kernel=kernel, tile=tile).value()
            found.append((value.detach(), *torch.autograd.grad(value, [rows.z, kernel.log_scale])))
    for other in found:
        assert other[0].item() == pytest.approx(expected, abs=1e-10)
        torch.testing.assert_close(other, found[0], rtol=1e-9, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    rows = rows_of(n=6, width=4)

    def value(z):
        return contrast(
            Embeddings(z, rows.keys), Embeddings(z, rows.keys), SameKey("label"), loss=InfoNCE(), kernel=Dot(), tile=40
        ).value()

    assert torch.autograd.gradcheck(value, (rows.z,))


def test_a_stack_of_problems_equals_each_problem_alone():
    z = torch.randn(5, 8, 6, dtype=torch.float64)
    keys = {"id": torch.arange(4).repeat(2), "view": torch.arange(2).repeat_interleave(4)}
    stacked = Stack(z, {k: v[None] for k, v in keys.items()})
    whole = contrast(stacked, stacked, SameKey("id"), loss=InfoNCE(), kernel=Dot(), tile=100)
    parts = [
        contrast(Embeddings(one, keys), Embeddings(one, keys), SameKey("id"), loss=InfoNCE(), kernel=Dot()) for one in z
    ]
    torch.testing.assert_close(whole.total, sum(p.total for p in parts))
    assert whole.count == 40


def test_an_anchor_without_a_positive_is_dropped_and_counted_out():
    rows = rows_of(n=4, classes=50)
    alone = Embeddings(rows.z[:5], {k: v[:5] for k, v in rows.keys.items()})  # ids 0, 1, 2, 3 and 0 again
    mean = contrast(alone, alone, SameKey("id"), loss=InfoNCE(), kernel=Cosine())
    assert mean.count == 2
    assert torch.isfinite(torch.autograd.grad(mean.value(), alone.z)[0]).all()


def test_nobody_with_a_positive_is_an_error_in_words():
    rows = Embeddings(torch.randn(3, 4), {"id": torch.arange(3), "view": torch.zeros(3, dtype=torch.long)})
    with pytest.raises(ValueError, match="no anchor has a positive"):
        contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=Cosine()).value()


def test_negatives_are_candidates_that_repel_without_self_positive_and_duplicates():
    rows = rows_of(n=6)
    plain = contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=Cosine())
    assert plain.negatives == 12 * (12 - 2)
    masked = contrast(rows, rows, SameKey("id") & ExcludeDuplicates("content"), loss=InfoNCE(), kernel=Cosine())
    assert masked.negatives == 12 * 10 - 8 * 2  # rows 0 and 1, and 2 and 3, are twins; each has two views


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [0.0, 1e-4, 1e4])
def test_half_precision_of_any_size_gives_no_nan(dtype, size):
    rows = rows_of()
    z = (rows.z.detach() * size).to(dtype).requires_grad_()
    mean = contrast(
        Embeddings(z, rows.keys),
        Embeddings(z, rows.keys),
        SameKey("id"),
        loss=InfoNCE(),
        kernel=Cosine(temperature=0.01),
    )
    assert torch.isfinite(mean.value())
    assert torch.isfinite(torch.autograd.grad(mean.value(), z)[0]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(2, 20), classes=st.integers(1, 6))
def test_the_order_of_the_batch_does_not_matter(seed, n, classes):
    rows = rows_of(n=n, classes=classes, seed=seed)
    shuffled = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    for relation in (SameKey("label"), SameKey("id") & ExcludeDuplicates("content")):
        one = contrast(rows, rows, relation, loss=InfoNCE(), kernel=Cosine())
        two = contrast(shuffled, shuffled, relation, loss=InfoNCE(), kernel=Cosine())
        torch.testing.assert_close(one.value(), two.value())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(2, 12))
def test_one_hot_soft_labels_are_hard_labels_and_labels_that_name_samples_are_nt_xent(seed, n):
    rows = rows_of(n=n, seed=seed)
    hot = Embeddings(
        rows.z, {**rows.keys, "soft": F.one_hot(rows.keys["label"], 6).double(), "label ": rows.keys["id"]}
    )
    soft = contrast(hot, hot, Soft("soft"), loss=InfoNCE(), kernel=Cosine()).value()
    torch.testing.assert_close(soft, contrast(rows, rows, SameKey("label"), loss=InfoNCE(), kernel=Cosine()).value())
    one = contrast(hot, hot, SameKey("label "), loss=InfoNCE(), kernel=Cosine()).value()
    torch.testing.assert_close(one, contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=Cosine()).value())


@pytest.mark.parametrize("loss", [InfoNCE(), SupConInside(), SupConInside(mean=True)])
@pytest.mark.parametrize("tile", [None, 40])
def test_chance_is_the_loss_of_embeddings_that_know_nothing(loss, tile):
    """Summed over anchors, whatever is weighed or dropped; by the engine's tiles and by its sweeps alike."""
    z = torch.ones(12, 4)
    keys = {"id": torch.arange(12), "view": torch.zeros(12, dtype=torch.long), "label": torch.arange(12) // 5 % 3}
    weight = torch.linspace(0.5, 1.5, 12)
    rows = Embeddings(z, keys)
    found = contrast(rows, rows, SameKey("label"), loss=loss, kernel=Cosine(temperature=0.2), weight=weight, tile=tile)
    assert float(found.chance) == pytest.approx(float(found.total), rel=1e-5)
    two = Embeddings(z.clone(), {**keys, "view": keys["view"] + 1})
    other = contrast(rows, two, SameKey("id"), loss=loss, kernel=Cosine(temperature=0.2), tile=tile)
    assert float(other.chance / other.count) == pytest.approx(float(other.value()), rel=1e-5)


def test_a_loss_that_depends_on_what_equal_similarities_are_has_no_chance():
    rows = Embeddings(torch.ones(4, 2), {"id": torch.arange(4) // 2, "view": torch.arange(4)})
    assert not math.isfinite(contrast(rows, rows, SameKey("id"), loss=SigLIP(), kernel=Cosine()).chance)
