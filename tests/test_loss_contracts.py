"""Every Contrast loss and every kernel in the folder meets the same suite the moment its file exists."""

import pytest
import torch

from kontrast.core import find
from kontrast.core.rows import Rows
from kontrast.losses.contrast import contrast, per_row
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.loss import Contrast
from kontrast.losses.relations.same import Same
from kontrast.losses.relations.soft import Soft
from kontrast.losses.relations.twins import Twins
from kontrast.losses.relations.within import Within
from kontrast.losses.weights import Weights

ROOMS = find.rooms()
LOSSES = [name for name in ROOMS["losses"] if issubclass(find.load("losses", name), Contrast)]
SHAPE = (2, 7, 11)
RELATIONS = {
    "listed": Same("id") & Twins("content"),
    "apart": Same("label", apart=True),
    "dense": Same("label") & Within("group"),
    "soft": Soft("soft"),
}


def built(name):
    return find.build("losses", name, {}).double()


def rows_of(n=20, width=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    ids = torch.arange(n).repeat(2)
    label = torch.randint(0, 15, (n,), generator=g).repeat(2)
    keys = {
        "id": ids,
        "view": torch.arange(2).repeat_interleave(n),
        "label": label,
        "group": label % 2,
        "content": torch.where(ids < 4, ids // 2, ids),
        "soft": torch.rand(2 * n, 4, generator=g, dtype=torch.float64),
    }
    return Rows(torch.randn(2 * n, width, generator=g, dtype=torch.float64, requires_grad=True), keys)


def weights_of(kind, seed=0):
    """The same weights in every form the engine gives them."""
    g = torch.Generator().manual_seed(seed)
    P = ((torch.rand(SHAPE[1:], generator=g) < 0.25) * torch.rand(SHAPE[1:], generator=g)).double()
    P[0] = 0  # an anchor without a positive
    P[1:, 0] = 0.5
    Q = (torch.rand(SHAPE[1:], generator=g) < 0.8).double()
    Q[:, 0], Q[:, 1], P[:, 1] = 1, 1, 0  # a positive and a negative for everyone
    if kind == "dense":
        return Weights(SHAPE, P[None]), Weights(SHAPE, Q[None].bool())
    listed, missing = P.nonzero(as_tuple=True), (Q == 0).nonzero(as_tuple=True)
    return Weights(SHAPE, P[listed], listed, 0), Weights(SHAPE, Q[missing], missing, 1)


def near(found, wanted, **tolerance):
    for f, w in zip(found, wanted, strict=True):
        torch.testing.assert_close(f, w, **{"rtol": 1e-9, "atol": 1e-11} | tolerance)


def test_there_are_losses_to_hold_to_the_contract():
    assert {"infonce", "debiased", "margined"} <= set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["dense", "listed"])
def test_a_loss_of_its_own_slope_has_the_slope_of_autograd(name, kind):
    loss = built(name)
    g = torch.Generator().manual_seed(1)
    S = torch.randn(SHAPE, generator=g, dtype=torch.float64).clamp(-0.95, 0.95)
    weight = torch.rand(SHAPE[:2], generator=g, dtype=torch.float64) + 0.1
    attract, among = weights_of(kind)
    weight = weight * (loss.counted(attract, among) > 0)
    value, d_s, scale, *rest = loss.slope(S.clone(), attract, among, weight)
    wanted, d_wanted, one, *rest_wanted = Contrast.slope(loss, S.clone(), attract, among, weight)
    counts = weight > 0
    near((value[counts], d_s * scale[..., None], *rest), (wanted[counts], d_wanted * one[..., None], *rest_wanted))
    assert torch.isfinite(value[counts]).all()


@pytest.mark.parametrize("name", LOSSES)
def test_weights_mean_the_same_listed_or_dense(name):
    S = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64).clamp(-0.95, 0.95)
    (P, Q), (p, q) = weights_of("dense"), weights_of("listed")
    loss = built(name)
    near([loss.counted(P, Q).double()], [loss.counted(p, q).double()])
    counts = loss.counted(P, Q) > 0
    near([loss.per_anchor(S.clone(), P, Q)[counts]], [loss.per_anchor(S.clone(), p, q)[counts]])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("relation", RELATIONS)
def test_tiles_of_any_size_give_one_value_and_gradient(name, relation):
    loss, kernel, rows = built(name), Cosine(temperature=0.5).double(), rows_of()
    found = []
    for tile in (1, 150, 1 << 20):
        mean = contrast(rows, rows, RELATIONS[relation], loss=loss, kernel=kernel, tile=tile)
        grads = torch.autograd.grad(mean.total, [rows.z, *loss.parameters()])
        found.append((mean.total.detach(), mean.count, *grads))
        each = per_row(rows, rows, RELATIONS[relation], loss=loss, kernel=kernel, tile=tile)
        assert each.shape == (len(rows),)
    for other in found:
        assert torch.isfinite(other[0])
        assert torch.isfinite(other[2]).all()
        near(other, found[0], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_rows_does_not_matter_nor_that_of_candidates(name):
    loss, kernel, rows = built(name), Cosine(temperature=0.5).double(), rows_of()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    relation = RELATIONS["listed"]
    one = contrast(rows, rows, relation, loss=loss, kernel=kernel)
    two = contrast(rows[order], rows[order.flip(0)], relation, loss=loss, kernel=kernel)
    near([two.value(), two.count], [one.value(), one.count])


@pytest.mark.parametrize("name", LOSSES)
def test_better_embeddings_cost_less(name):
    """Each sample alone on an axis, views agreeing, against everyone mixed up: any loss must see which is better."""
    ids = torch.arange(6)
    keys = {"id": ids.repeat(2), "view": ids.repeat(2) * 0 + torch.arange(12) // 6}
    eye = torch.eye(6, dtype=torch.float64)
    costs = []
    for second in (eye, eye.roll(1, 0)):
        rows = Rows(torch.cat([eye, second]), keys)
        costs.append(contrast(rows, rows, Same("id"), loss=built(name), kernel=Cosine(temperature=1.0)).value().item())
    assert costs[0] < costs[1]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [0.0, 1e4])
def test_half_precision_of_any_size_gives_no_nan(name, size):
    rows, loss = rows_of(), find.build("losses", name, {})
    for dtype in (torch.float16, torch.bfloat16):
        z = (rows.z.detach() * size).to(dtype).requires_grad_()
        both = Rows(z, rows.keys)
        value = contrast(both, both, Same("label"), loss=loss, kernel=Cosine(temperature=0.05)).value()
        assert torch.isfinite(value)
        assert torch.isfinite(torch.autograd.grad(value, z)[0].float()).all()


@pytest.mark.parametrize("name", LOSSES)
def test_nobody_to_attract_is_an_error_in_words_unless_the_loss_counts_rows_without_positives(name):
    ids = torch.arange(5)
    rows = Rows(torch.randn(5, 3), {"id": ids, "view": 0 * ids})
    mean = contrast(rows, rows, Same("id"), loss=find.build("losses", name, {}), kernel=Cosine())
    if mean.count:
        assert mean.count == 5
        assert torch.isfinite(mean.value())
        return
    with pytest.raises(ValueError, match="no anchor has a positive"):
        mean.value()


@pytest.mark.parametrize("name", ROOMS["kernels"])
def test_a_kernel_is_an_inner_product_of_two_prepared_sides(name):
    """Each pair's similarity depends on that pair alone, and the gradient reaches both sides and what is learned."""
    width = 2 if name == "log_ratio" else 6
    kernel = find.build("kernels", name, {}, given={"width": width}).double()
    g = torch.Generator().manual_seed(0)
    a, c = (torch.randn(n, width, generator=g, dtype=torch.float64, requires_grad=True) for n in (4, 5))
    left, right = kernel(a, c)
    assert left.shape[-1] == right.shape[-1]
    S = left @ right.mT
    for j in range(5):
        one = kernel(a[1:2], c[j : j + 1])
        near([S[1:2, j : j + 1]], [one[0] @ one[1].mT])
    grads = torch.autograd.grad(S.square().sum(), [c, *(p for p in kernel.parameters() if p.requires_grad)])
    assert all(grad.abs().sum() > 0 for grad in grads)
    stack = kernel(a.expand(3, -1, -1), c.expand(3, -1, -1))
    near([stack[0] @ stack[1].mT], [S.expand(3, -1, -1)])
