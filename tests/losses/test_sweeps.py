"""Both directions from one matrix: the value and gradients of the plain way, for any relation, size of block and
kernel; and what cannot be had so goes the plain way by itself."""

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.losses.bidirectional import mutual
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.symmetric import both_ways, swept
from kontrast.losses.functional import clip, ntxent
from kontrast.losses.kernels.bilinear import Bilinear
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import Distinct, named
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.neighbours import Neighbours
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft
from kontrast.losses.tile_weights import tiles, usual
from tests.support.largest import Largest

RELATIONS = {
    "a view each": SameKey("id"),
    "classes": SameKey("label"),
    "decoupled": SameKey("label", apart=True),
    "twins masked": SameKey("id") & ExcludeDuplicates("content"),
    "mixed": SameKey("id") + 0.25 * SameKey("label"),
    "one-sided": Neighbours("nearest"),
}


def side(n, view, seed, dtype=torch.float64, first=0):
    g = torch.Generator().manual_seed(seed)
    ids = torch.arange(first, first + n)
    keys = {
        "id": ids,
        "view": torch.full((n,), view),
        "label": ids // 2,
        "content": ids // 3,
        "nearest": torch.stack([ids, ids + 1, ids + 4], 1),
    }
    return Embeddings(torch.randn(n, 5, generator=g, dtype=dtype, requires_grad=True), keys)


def plain(anchors, candidates, relation, kernel, weight=None):
    """The total by autograd over the whole matrix."""
    left, right = ({name: key[None] for name, key in named(one).items()} for one in (anchors, candidates))
    size = (1, len(anchors), len(candidates))
    (t,) = tiles(relation & Distinct(), left, right, size, anchors.z.dtype, len(anchors) * len(candidates))
    a, c = kernel(anchors.z, candidates.z)
    loss = InfoNCE()
    each, counts = loss.per_anchor((a @ c.mT)[None], t.positives, t.candidates), loss.counted(t.positives, t.candidates)
    counts = counts if weight is None else counts * weight
    return torch.where(counts > 0, each, 0).mul(counts).sum(), counts.sum()


@pytest.mark.parametrize("tile", [None, 700, 5000])
@pytest.mark.parametrize("name", [n for n in RELATIONS if n != "one-sided"])
def test_one_side_with_itself_is_the_plain_way(name, tile):
    rows = Embeddings.stack(side(110, 0, 0), side(110, 1, 1), side(40, 2, 2, first=400))
    weight = torch.linspace(0.5, 2, len(rows), dtype=torch.float64)
    kernel = Cosine(temperature=0.3, learnable=True).double()
    found = swept(rows, None, RELATIONS[name], kernel, weight, tile)
    assert found is not None, "this is not the path to be tested"
    total, count = plain(rows, rows, RELATIONS[name], kernel, weight)
    assert found[0].count == pytest.approx(float(count))
    inputs = [rows.z, kernel.log_scale]
    torch.testing.assert_close(found[0].total, total)
    torch.testing.assert_close(torch.autograd.grad(found[0].total, inputs), torch.autograd.grad(total, inputs))
    usual = contrast(rows, rows, RELATIONS[name], loss=Tiled(), kernel=kernel, weight=weight)
    assert found[0].negatives == usual.negatives


@pytest.mark.parametrize("tile", [None, 700, 5000])
@pytest.mark.parametrize("name", RELATIONS)
def test_two_sides_are_two_calls_of_the_plain_way(name, tile):
    one, two = side(130, 0, 0), side(90, 1, 1, first=20)
    kernel = Cosine(temperature=0.3, learnable=True).double()
    assert swept(one, two, RELATIONS[name], kernel, None, tile) is not None, "this is not the path to be tested"
    found = mutual(one, two, RELATIONS[name], loss=InfoNCE(), kernel=kernel, tile=tile)
    wanted = [plain(*sides, RELATIONS[name], kernel) for sides in ((one, two), (two, one))]
    inputs = [one.z, two.z, kernel.log_scale]
    for weights in ((1.0, 0.0), (0.0, 1.0), (0.3, 0.7)):
        mine = sum(w * m.total for w, m in zip(weights, found, strict=True))
        theirs = sum(w * total for w, (total, _) in zip(weights, wanted, strict=True))
        torch.testing.assert_close(mine, theirs)
        got, want = (torch.autograd.grad(x, inputs, retain_graph=True) for x in (mine, theirs))
        torch.testing.assert_close(got, want)
    assert [float(m.count) for m in found] == [pytest.approx(float(count)) for _, count in wanted]


class Tiled(InfoNCE):
    """The same by `contrast` in tiles: what a class does not say of itself is not taken for granted."""


def test_a_child_of_infonce_with_another_value_is_not_taken_for_it():
    class Doubled(InfoNCE):
        def per_anchor(self, similarity, positives, candidates):
            return 2 * super().per_anchor(similarity, positives, candidates)

        slope = InfoNCE.__mro__[1].slope

    rows = Embeddings.stack(side(50, 0, 0), side(50, 1, 1))
    once, twice = (
        contrast(rows, rows, SameKey("id"), loss=loss, kernel=Cosine()).value() for loss in (InfoNCE(), Doubled())
    )
    torch.testing.assert_close(twice, 2 * once)


def test_float32_keeps_its_digits_where_one_pair_holds_all_of_the_mass():
    """At temperature .03 the positive has e^33 and the others about 1: a difference would leave only rounding."""
    g = torch.Generator().manual_seed(0)
    base = F.normalize(torch.randn(40, 16, generator=g, dtype=torch.float64), dim=1)
    z = torch.cat([base, base + 1e-3 * torch.randn(40, 16, generator=g, dtype=torch.float64)])
    keys = {"id": torch.arange(40).repeat(2), "view": torch.arange(2).repeat_interleave(40)}
    exact, narrow = (Embeddings(x.clone().requires_grad_(), keys) for x in (z, z.float()))
    total, _ = plain(exact, exact, SameKey("id"), Cosine(temperature=0.03).double())
    found = swept(narrow, None, SameKey("id"), Cosine(temperature=0.03), None, None)
    assert found is not None
    (want,), (got,) = torch.autograd.grad(total, exact.z), torch.autograd.grad(found[0].total, narrow.z)
    assert (got.double() - want).norm() < 1e-4 * want.norm()


def test_what_cannot_be_had_so_is_left_to_the_tiles():
    one, two = side(60, 0, 0), side(60, 1, 1)
    rows = Embeddings.stack(one, two)
    soft = Embeddings(rows.z, {**rows.keys, "soft": torch.rand(120, 3, dtype=torch.float64)})
    assert swept(rows, None, SameKey("id"), Cosine(temperature=0.01), None, None) is None  # e^100
    assert swept(one, two, SameKey("id"), Bilinear(width=5).double(), None, None) is None  # two unlike sides
    assert swept(soft, None, Soft("soft"), Cosine(), None, None) is None  # everyone attracts
    assert swept(Embeddings(rows.z[None], rows.keys), None, SameKey("id"), Dot(), None, None) is None  # a stack
    assert swept(rows[:0], None, SameKey("id"), Dot(), None, None) is None
    crowd = Embeddings(rows.z[:1].expand(2000, 5), {"id": torch.zeros(2000).long(), "view": torch.arange(2000)})
    keys = named(crowd)
    assert (
        both_ways(SameKey("id") & Distinct(), keys, None, None, crowd.z, 1000) is None
    )  # more pairs than are worth it


def test_the_pairs_of_large_classes_are_never_listed_all_at_once():
    n = 16_384
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    rows = Embeddings(z, {"id": torch.arange(n), "view": torch.zeros(n).long(), "label": torch.arange(n) % 64})
    with Largest() as largest:
        contrast(rows, rows, SameKey("label"), loss=InfoNCE(), kernel=Cosine(temperature=0.5)).value().backward()
    assert largest.numbers <= usual(n) < n * n // 64
    pairs = both_ways(SameKey("id") & Distinct(), named(rows), None, None, z, 2 * n)  # as many as are worth it
    assert pairs is not None
    assert len(pairs.i) == n


def test_no_row_meets_itself_though_it_stands_on_both_sides():
    one = side(100, 0, 0)
    forth, back = mutual(one, one, SameKey("label"), loss=InfoNCE(), kernel=Dot())
    total, count = plain(one, one, SameKey("label"), Dot())
    assert forth.count == back.count == count
    torch.testing.assert_close(forth.total, total)
    torch.testing.assert_close(back.total, total)


def test_a_second_derivative_is_refused_in_words():
    z1, z2 = (torch.randn(400, 4, requires_grad=True) for _ in range(2))  # small batches have one (test_dense)
    for loss in (ntxent, clip):
        (slope,) = torch.autograd.grad(loss(z1, z2), z1, create_graph=True)
        with pytest.raises(UserError, match="a second derivative of a contrastive loss was asked for"):
            slope.square().sum().backward()


def test_out_of_memory_begins_anew_in_smaller_blocks(monkeypatch):
    rows = Embeddings.stack(side(60, 0, 0), side(60, 1, 1))
    want = swept(rows, None, SameKey("id"), Dot(), None, None)
    assert want is not None
    (slope,) = torch.autograd.grad(want[0].total, rows.z)
    product, asked = torch.mm, []

    def starved(a, c, out):
        asked.append(out.numel())
        if out.numel() > 1000:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")
        return product(a, c, out=out)

    monkeypatch.setattr(torch, "mm", starved)
    found = swept(rows, None, SameKey("id"), Dot(), None, None)
    assert found is not None
    torch.testing.assert_close(found[0].total, want[0].total)
    torch.testing.assert_close(torch.autograd.grad(found[0].total, rows.z), (slope,))
    assert max(asked) == 120 * 120
    assert min(asked) <= 1000


def test_half_precision_and_autocast_around_it_change_nothing():
    g = torch.Generator().manual_seed(0)
    z1, z2 = (torch.randn(80, 8, generator=g) for _ in range(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = clip(z1, z2), ntxent(z1, z2)
    torch.testing.assert_close(inside, (clip(z1, z2), ntxent(z1, z2)), rtol=0, atol=0)
    assert clip(z1.bfloat16(), z2.bfloat16()).dtype == torch.float32
