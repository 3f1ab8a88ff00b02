"""The engine under strain: little memory, second derivatives, autocast, compilation, stacks, learned kernels, half
precision."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kontrast.core import factory, registry
from kontrast.core.embeddings import Embeddings, Stack
from kontrast.core.errors import UserError
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.siglip import SigLIP
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast, per_row
from kontrast.losses.kernels.bilinear import Bilinear
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.memory_forecast import AliveBytes, forecast
from kontrast.losses.pairwise.triplet import Triplet
from kontrast.losses.relation import Distinct, named
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft
from kontrast.losses.tile_weights import TILE, tiles

LOSSES = [name for name in registry.rooms()["losses"] if issubclass(registry.load("losses", name), ContrastiveLoss)]


class Plain(ContrastiveLoss):
    """A user's own loss: dense matrices and autograd, and a weight of its own."""

    def __init__(self):
        super().__init__()
        self.sharp = nn.Parameter(torch.tensor(1.5))

    def per_anchor(self, similarity, positives, candidates):
        P, Q, S = positives.dense(), candidates.dense(), self.sharp * similarity
        return torch.where(Q.bool(), S, -torch.inf).logsumexp(-1) - (P * S).sum(-1) / P.sum(-1).clamp_min(1e-12)


class Starved(ContrastiveLoss):
    """Asks the allocator in vain for tiles of more than `most` rows."""

    def __init__(self, most, error):
        super().__init__()
        self.inner, self.most, self.error, self.tried = InfoNCE(), most, error, []

    def per_anchor(self, similarity, positives, candidates):
        self._allocate(similarity)
        return self.inner.per_anchor(similarity, positives, candidates)

    def slope(self, similarity, positives, candidates, weight):
        self._allocate(similarity)
        return self.inner.slope(similarity, positives, candidates, weight)

    def _allocate(self, similarity):
        self.tried.append(similarity.shape[1])
        if similarity.shape[1] > self.most:
            raise self.error


def rows_of(n=20, width=6, stack=None, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    ids = torch.arange(n).repeat(2)
    label = torch.randint(0, 6, (n,), generator=g).repeat(2)
    keys = {"id": ids, "view": torch.arange(2).repeat_interleave(n), "label": label}
    keys["soft"] = torch.rand(2 * n, 4, generator=g, dtype=torch.float64)
    shape = (2 * n, width) if stack is None else (stack, 2 * n, width)
    z = torch.randn(shape, generator=g, dtype=dtype, requires_grad=True)
    return Embeddings(z, keys) if stack is None else Stack(z, {name: key[None] for name, key in keys.items()})


def whole(anchors, candidates, relation, loss, kernel):
    """The same by plain autograd over the whole matrix."""
    left, right = ({name: key[None] for name, key in named(one).items()} for one in (anchors, candidates))
    size = (1, len(anchors), len(candidates))
    (t,) = tiles(relation & Distinct(), left, right, size, anchors.z.dtype, len(anchors) * len(candidates))
    a, c = kernel(anchors.z, candidates.z)
    each, counts = loss.per_anchor((a @ c.mT)[None], t.positives, t.candidates), loss.counted(t.positives, t.candidates)
    return torch.where(counts > 0, each, 0).mul(counts).sum()


def grads(value, *inputs):
    return torch.autograd.grad(value, inputs)


# Memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes. Error code 12"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),
    ],
    ids=["device", "linux", "windows"],
)
def test_out_of_memory_the_loss_is_taken_in_smaller_tiles_and_is_the_same(error):
    rows, kernel = rows_of(), Cosine().double()
    starved = Starved(3, error)
    wanted = contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=kernel)
    state = torch.get_rng_state()
    found = contrast(rows, rows, SameKey("id"), loss=starved, kernel=kernel)
    assert torch.equal(torch.get_rng_state(), state)
    assert starved.tried[:3] == [40, 10, 2]
    assert found.count == wanted.count
    torch.testing.assert_close(found.total, wanted.total)
    torch.testing.assert_close(grads(found.total, rows.z), grads(wanted.total, rows.z))
    each = per_row(rows, rows, SameKey("id"), loss=Starved(3, error), kernel=kernel)
    torch.testing.assert_close(each.sum(), wanted.total.detach())


def test_memory_that_ends_in_the_middle_counts_nothing_twice():
    class Later(Starved):
        def _allocate(self, similarity):
            self.tried.append(similarity.shape[1])
            if len(self.tried) == 3:
                raise self.error

    rows, kernel = rows_of(), Cosine().double()
    loss = Later(0, torch.OutOfMemoryError("out of memory"))
    found = contrast(rows, rows, SameKey("id"), loss=loss, kernel=kernel, tile=400)
    assert loss.tried == [10, 10, 10] + [2] * 20
    assert found.count == 40
    wanted = contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=kernel)
    torch.testing.assert_close(grads(found.total, rows.z), grads(wanted.total, rows.z))


def test_what_does_not_fit_row_by_row_is_an_error_with_sizes_and_advice():
    rows, loss = rows_of(), Starved(0, torch.OutOfMemoryError("out of memory"))
    with pytest.raises(UserError, match=r"40 anchors and 40 candidates of width 6 .* Take a smaller batch") as refused:
        contrast(rows, rows, SameKey("id"), loss=loss, kernel=Cosine())
    assert loss.tried == [40, 10, 2, 1]
    assert isinstance(refused.value.__cause__, torch.OutOfMemoryError)


def test_another_error_is_not_taken_for_want_of_memory():
    rows, loss = rows_of(), Starved(0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        contrast(rows, rows, SameKey("id"), loss=loss, kernel=Cosine())
    assert loss.tried == [40]


RELATED = {"listed": SameKey("id"), "classes": SameKey("label"), "dense": Soft("soft")}


HELD = [
    (InfoNCE(), "listed"),
    (InfoNCE(), "classes"),
    (InfoNCE(), "dense"),
    (Plain(), "classes"),
    (SigLIP(), "dense"),
    (Triplet(), "listed"),
]


@pytest.mark.parametrize(("loss", "relation"), HELD, ids=lambda x: x if isinstance(x, str) else type(x).__name__)
@pytest.mark.parametrize("shape", [(1000, 1000), (300, 2000)])
def test_the_forecast_is_what_is_held(loss, relation, shape, monkeypatch):
    monkeypatch.setattr("kontrast.losses.memory_forecast.usual", lambda candidates: TILE // 32)
    kernel, both = Cosine(), []
    for view, n in enumerate(shape):
        g = torch.Generator().manual_seed(view)
        keys = {"id": torch.arange(n), "view": torch.full((n,), view), "soft": torch.rand(n, 4, generator=g)}
        keys["label"] = torch.randint(0, 60, (n,), generator=g)
        both.append(Embeddings(torch.randn(n, 32, generator=g, requires_grad=True), keys))
    a, c = both
    plan = forecast(*shape, 32, loss=loss, relation=RELATED[relation], keys=c.keys, kernel=kernel)
    with AliveBytes() as tiled:
        mean = contrast(a, c, RELATED[relation], loss=loss, kernel=kernel, tile=plan.tile)
        grads(mean.total, a.z, c.z)
    with AliveBytes() as plain:
        grads(whole(a, c, RELATED[relation], loss, kernel), a.z, c.z)
    assert plan.tiled == pytest.approx(tiled.most, rel=0.35)
    assert plan.whole == pytest.approx(plain.most, rel=0.25)
    assert f"tiles of {plan.rows} rows" in plan.words


def test_the_forecast_says_which_it_picks_and_what_it_saves():
    small, large = forecast(512, 512, 128), forecast(16_384, 16_384, 128)
    assert small.one
    assert small.words.startswith("loss in one piece: ")
    assert large.words == "loss in tiles of 128 rows: 51 MB instead of 3.0 GB"
    assert forecast(131_072, 131_072, 128).tiled < 1e9
    narrow, tight = forecast(16_384, 16_384, 8), forecast(16_384, 16_384, 8, available=8_000_000)
    assert tight.rows < narrow.rows
    assert tight.tiled <= 8_000_000 < narrow.tiled
    assert forecast(8, 8, 16, stack=4096).tile == 8 * 8 * 4096


def test_a_forecast_needs_an_example_of_the_keys_it_reads():
    with pytest.raises(UserError, match="reads the key 'label'; give some rows' `keys`"):
        forecast(64, 64, 8, relation=SameKey("label"))


def test_many_positives_a_row_are_never_all_listed_at_once():
    """Labels of 40 classes make one pair in 40: 6.6 million pairs here, which would be 100 MB and more as lists."""
    n = 16_000
    g = torch.Generator().manual_seed(0)
    keys = {"id": torch.arange(n), "view": torch.zeros(n).long(), "label": torch.randint(0, 40, (n,), generator=g)}
    left = {name: key[None] for name, key in named(Embeddings(torch.zeros(n, 1), keys)).items()}
    with AliveBytes() as alive:
        pairs = sum(
            len(t.positives.values) for t in tiles(SameKey("label"), left, left, (1, n, n), torch.float32, TILE)
        )
    assert pairs == keys["label"].bincount().square().sum()
    assert alive.most < 60e6


# Derivatives


def penalised(rows, loss, kernel):
    value = contrast(rows, rows, SameKey("id"), loss=loss, kernel=kernel).value()
    (slope,) = torch.autograd.grad(value, rows.z, create_graph=True)
    return slope.square().sum()


def test_a_second_derivative_is_refused_in_words():
    rows = rows_of()
    with pytest.raises(UserError, match="second derivative of a contrastive loss"):
        penalised(rows, InfoNCE(), Cosine().double()).backward()


def test_a_second_derivative_for_what_the_loss_or_the_kernel_learns_is_refused_too():
    rows = Embeddings(rows_of().z.detach().requires_grad_(), rows_of().keys)
    for learned in (Plain().double(), Cosine(learnable=True).double()):
        loss, kernel = (learned, Dot()) if isinstance(learned, ContrastiveLoss) else (InfoNCE(), learned)
        (parameter,) = learned.parameters()
        with pytest.raises(UserError, match="second derivative"):
            grads(penalised(rows, loss, kernel), parameter)


def test_other_terms_of_a_sum_may_be_differentiated_twice():
    rows, w = rows_of(), torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    value = contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=Cosine().double()).value()
    d_z, d_w = torch.autograd.grad(value + (w**3).sum(), [rows.z, w], create_graph=True)
    (second,) = torch.autograd.grad(d_w.sum(), w)
    torch.testing.assert_close(second, 6 * w.detach())
    torch.testing.assert_close(d_z.detach(), *grads(contrast_again(rows), rows.z))


def contrast_again(rows):
    return contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=Cosine().double()).value()


def test_a_weight_before_the_loss_may_be_learned_through_its_gradient():
    """As in learning to weigh: d/dw of the gradient of w * loss is the gradient itself, no second derivative."""
    rows, w = rows_of(), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(w * contrast_again(rows), rows.z, create_graph=True)
    (d_w,) = torch.autograd.grad(slope.sum(), w)
    torch.testing.assert_close(d_w, slope.detach().sum() / 2)


def test_nothing_is_differentiated_that_needs_no_gradient():
    rows, kernel = rows_of(), Cosine().double()
    fixed = rows.detach()
    both = contrast(rows, fixed, SameKey("id"), loss=InfoNCE(), kernel=kernel).total
    other = contrast(fixed, rows, SameKey("id"), loss=InfoNCE(), kernel=kernel).total
    one = sum(grads(value, rows.z)[0] for value in (both, other))
    torch.testing.assert_close(
        one, *grads(contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=kernel).total, rows.z)
    )
    starved = Starved(100, None)
    starved.slope = None  # calling it would fail
    with torch.no_grad():
        torch.testing.assert_close(
            contrast(rows, rows, SameKey("id"), loss=starved, kernel=kernel).total, both.detach()
        )


def test_a_loss_may_have_frozen_and_unused_parameters():
    rows, loss = rows_of(), Plain().double()
    loss.spare, loss.sharp = nn.Parameter(torch.ones(2).double()), nn.Parameter(loss.sharp.data, requires_grad=False)
    value = contrast(rows, rows, SameKey("id"), loss=loss, kernel=Cosine().double()).value()
    d_z, d_spare = grads(value, rows.z, loss.spare)
    assert d_z.abs().sum() > 0
    assert not d_spare.any()


@pytest.mark.parametrize("loss", [InfoNCE(), Plain(), SigLIP(), Triplet()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("kernel", [Cosine(temperature=0.3, learnable=True), Bilinear(width=6, other=6)])
@pytest.mark.parametrize("relation", ["id", "label"])
def test_what_kernel_and_loss_learn_gets_the_gradient_of_the_whole_matrix(loss, kernel, relation):
    rows, others = rows_of(), rows_of(seed=1)
    others = Embeddings(others.z, {**rows.keys, "view": rows.keys["view"] + 2})
    loss, kernel = loss.double(), kernel.double()
    learned = [rows.z, others.z, *kernel.parameters(), *loss.parameters()]
    wanted = grads(whole(rows, others, SameKey(relation), loss, kernel), *learned)
    assert all(d.abs().sum() > 0 for d in wanted)
    for tile in (1, 130, None):
        mean = contrast(rows, others, SameKey(relation), loss=loss, kernel=kernel, tile=tile)
        torch.testing.assert_close(grads(mean.total, *learned), wanted, rtol=1e-8, atol=1e-10)


# Stacks


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "relation", [SameKey("id"), SameKey("label", apart=True), Soft("soft")], ids=["id", "label", "soft"]
)
def test_a_stack_is_each_problem_alone_in_any_tile(name, relation):
    loss, kernel = factory.build("losses", name, {}).double(), Cosine(temperature=0.5).double()
    stack = rows_of(n=6, stack=3)
    alone = [Embeddings(z, {k: v[0] for k, v in stack.keys.items()}) for z in stack.z.detach().requires_grad_()]
    parts = [contrast(one, one, relation, loss=loss, kernel=kernel) for one in alone]
    wanted = torch.stack([*torch.autograd.grad(sum(p.total for p in parts), [one.z for one in alone])])
    for tile in (1, 30, 150, 300, None):
        mean = contrast(stack, stack, relation, loss=loss, kernel=kernel, tile=tile)
        torch.testing.assert_close(mean.total, sum(p.total for p in parts))
        torch.testing.assert_close(mean.count, sum(p.count for p in parts))
        torch.testing.assert_close(*grads(mean.total, stack.z), wanted, rtol=1e-8, atol=1e-9)
        each = per_row(stack, stack, relation, loss=loss, kernel=kernel, tile=tile)
        assert each.shape == stack.z.shape[:2]


# Precision and compilation


@pytest.mark.parametrize("loss", [InfoNCE(), Plain()], ids=["tuned", "plain"])
def test_logits_are_float32_under_autocast(loss):
    rows = rows_of(n=200, dtype=torch.float32)
    kernel = Cosine(temperature=0.05, learnable=True)
    wanted = contrast(rows, rows, SameKey("id"), loss=loss, kernel=kernel).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = contrast(rows, rows, SameKey("id"), loss=loss, kernel=kernel).total
        half = (rows.z @ torch.eye(6)).mean()
    assert half.dtype == torch.bfloat16  # autocast was on
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)
    assert torch.equal(*grads(found, rows.z), *grads(wanted, rows.z))


def test_half_precision_tiles_are_close_and_leave_the_setting_as_it_was():
    rows, before = rows_of(n=300, width=64, dtype=torch.float32), torch.get_float32_matmul_precision()
    full, half = (
        contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=Cosine(), half=half).value()
        for half in (False, True)
    )
    assert torch.get_float32_matmul_precision() == before
    assert half.item() == pytest.approx(full.item(), rel=1e-3)
    (exact,), (near,) = grads(full, rows.z), grads(half, rows.z)
    assert (near - exact).norm() < 0.01 * exact.norm()
    with pytest.raises(RuntimeError, match="no more"):
        contrast(rows, rows, SameKey("id"), loss=Starved(0, RuntimeError("no more")), kernel=Cosine(), half=True)
    assert torch.get_float32_matmul_precision() == before


def test_a_compiled_step_is_the_same():
    def step(x, y):
        keys = {"id": torch.arange(len(x)), "view": torch.zeros(len(x)).long()}
        a, c = Embeddings(torch.tanh(x), keys), Embeddings(y * 2, {**keys, "view": keys["view"] + 1})
        return 3 * contrast(a, c, SameKey("id"), loss=InfoNCE(), kernel=Cosine(learnable=True)).value()

    x, y = (torch.randn(10, 4, requires_grad=True) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.compile(step, backend="aot_eager")(x, y)
        torch.testing.assert_close(found, step(x, y))
        torch.testing.assert_close(grads(found, x, y), grads(step(x, y), x, y))


def test_embeddings_of_length_nought_get_no_gradient_in_any_tile():
    rows = rows_of()
    z = torch.where(torch.arange(40)[:, None] % 3 == 0, 0, rows.z.detach()).requires_grad_()
    both = Embeddings(z, rows.keys)
    (d,) = grads(contrast(both, both, SameKey("id"), loss=InfoNCE(), kernel=Cosine().double(), tile=100).value(), z)
    assert torch.isfinite(d).all()
    assert not d[::3].any()
    assert F.cosine_similarity(d[1::3], z[1::3]).abs().max() < 1e-9
