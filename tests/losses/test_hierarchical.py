"""The hierarchical loss of TS2Vec against slow loops, the plain transcription of the authors' form, and other ranks."""

import math

import pytest
import torch

from benchmarks.league.contestants import ts2vec
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.losses.hierarchical import hierarchical
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey

pytestmark = pytest.mark.quick

D = 6


def sides(lengths, most=None, first=0, garbage=0.0):
    """Two views of series of these lengths; each number depends on sample, instant and view alone."""
    n, most = first + torch.arange(len(lengths)), most or max(lengths)
    mask = torch.arange(most) < torch.tensor(lengths)[:, None]
    place = (n[:, None, None] * 131 + torch.arange(most)[:, None] * 17 + torch.arange(D) * 3).double()
    return [
        Embeddings(
            torch.where(mask[..., None], (place + shift).sin() * 1.5, garbage).requires_grad_(), {"id": n, "mask": mask}
        )
        for shift in (0.0, 0.4)
    ]


def total(terms):
    return sum(term.weight * term.total / term.count for term in terms.values())


def slow(rows, alpha=0.5):
    """The equation, one anchor at a time: rows are pairs of (length, D) lists of two views."""
    levels = [[[list(view) for view in pair] for pair in rows]]
    scales = max(len(pair[0]) for pair in rows).bit_length()
    for _ in range(scales - 1):
        levels.append(
            [
                [[torch.maximum(a, b) for a, b in zip(v[::2], v[1::2], strict=False)] for v in pair]
                for pair in levels[-1]
            ]
        )

    def nearest(one, others):
        """-log of the first one's share of the softmax."""
        s = [(one * other).sum() for other in others]
        return torch.stack(s).logsumexp(0) - s[0]

    found = 0
    for scale, level in enumerate(levels):
        instance, temporal = [], []
        for row in level:
            for view in (0, 1):
                for t, z in enumerate(row[view]):
                    others = [r[v][t] for r in level if r is not row and len(r[0]) > t for v in (0, 1)]
                    instance.append(nearest(z, [row[1 - view][t], *others]))
                    within = [row[v][u] for v in (0, 1) for u in range(len(row[0])) if u != t]
                    temporal.append(nearest(z, [row[1 - view][t], *within]))
        found = found + alpha * torch.stack(instance).mean()
        if scale < scales - 1:
            found = found + (1 - alpha) * torch.stack(temporal).mean()
    return found / scales


@pytest.mark.parametrize("alpha", [0.5, 0.2, 1.0])
@pytest.mark.parametrize("lengths", [(8, 8, 8), (7, 7), (1, 1, 1), (5,), (2, 2, 2, 2), (9, 4, 6), (6, 1, 3), (2, 5, 1)])
def test_it_equals_a_slow_loop_over_anchors_also_where_lengths_differ(lengths, alpha):
    one, two = sides(lengths)
    found = total(hierarchical(one, two, alpha=alpha))
    cut = [[list(r.z[n, :long]) for r in (one, two)] for n, long in enumerate(lengths)]
    wanted = slow(cut, alpha)
    torch.testing.assert_close(found, wanted)
    for got, slope in zip(
        torch.autograd.grad(found, (one.z, two.z)), torch.autograd.grad(wanted, (one.z, two.z)), strict=True
    ):
        torch.testing.assert_close(got, slope)


@pytest.mark.parametrize(("rows", "length"), [(4, 16), (3, 11), (2, 1), (1, 8)])
def test_it_equals_the_plain_transcription_of_the_paper(rows, length):
    one, two = sides([length] * rows)
    wanted = ts2vec.hierarchical(one.z, two.z)
    torch.testing.assert_close(total(hierarchical(one, two)), wanted)
    bare = [Embeddings(side.z, {"id": side.keys["id"]}) for side in (one, two)]
    torch.testing.assert_close(total(hierarchical(*bare)), wanted)  # by the engine's lists of pairs


def test_what_stands_in_the_padding_and_how_wide_it_is_changes_nothing():
    wanted = total(hierarchical(*sides((5, 3, 2))))
    for most, garbage in ((5, 50.0), (8, 0.0), (13, -3.0)):
        one, two = sides((5, 3, 2), most, garbage=garbage)
        scales = math.floor(math.log2(most)) + 1
        found = total(hierarchical(one, two))
        torch.testing.assert_close(found * scales / 3, wanted)  # scales that no series reaches add nothing
        assert not torch.autograd.grad(found, one.z)[0][~one.keys["mask"]].any()


def test_the_relation_of_the_samples_leaves_copies_out():
    one, two = sides((4, 4, 4))
    content = torch.tensor([1, 1, 2])
    both = [Embeddings(side.z, {**side.keys, "content": content}) for side in (one, two)]
    relation = SameKey("id") & ExcludeDuplicates("content")
    found = hierarchical(*both, relation)["instance"]
    assert found.negatives < hierarchical(one, two)["instance"].negatives
    with pytest.raises(UserError, match=r"alpha=2; expected a number from 0 to 1"):
        hierarchical(one, two, alpha=2)


CASES = {
    "equal": [(6, 6), (6, 6), (6,), (6,)],
    "ragged": [(3, 5), (2,), (9, 4), (1, 8)],
    "empty": [(), (), (4, 3), (7,)],
}


def on_a_rank(ranks):
    """Case -> the loss of all ranks, and its gradient towards this rank's rows up to their ends."""
    found = {}
    for name, of_rank in CASES.items():
        mine = range(ranks.rank * 4 // ranks.world, (ranks.rank + 1) * 4 // ranks.world)
        lengths = [n for r in mine for n in of_rank[r]]
        one, two = (
            side[: len(lengths)] for side in sides(lengths or (2,), first=sum(len(n) for n in of_rank[: mine[0]]))
        )
        z = [side.z.detach().requires_grad_() for side in (one, two)]
        terms = hierarchical(*(Embeddings(x, r.keys) for x, r in zip(z, (one, two), strict=True)), ranks=ranks)
        loss, values = ranks.divide(terms)
        slopes = torch.autograd.grad(loss, z)
        cut = [[s[n, :long] / ranks.world for s in slopes] for n, long in enumerate(lengths)]
        found[name] = (values, cut)
    return found


@pytest.mark.dist
def test_two_ranks_are_one_also_where_one_has_longer_series_or_none():
    one, many = on_a_rank(Ranks()), on_ranks(on_a_rank, 2, timeout=120)
    for name, (values, cut) in one.items():
        for of_rank in many:
            assert of_rank[name][0] == pytest.approx(values)
        slopes = [pair for of_rank in many for pair in of_rank[name][1]]
        for found, wanted in zip(slopes, cut, strict=True):
            torch.testing.assert_close(found, wanted)
