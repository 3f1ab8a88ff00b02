"""Late interaction is its slow loop, in any tiling, one by one and in stacks, with absent vectors and miners."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

import kontrast as kt
from kontrast.core.embeddings import Embeddings, Stack
from kontrast.core.errors import UserError
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast, per_row
from kontrast.losses.kernels.max_sim import MaxSim
from kontrast.losses.pairwise.triplet import Triplet
from kontrast.losses.relations.false_negatives import FalseNegatives
from kontrast.losses.relations.same_key import SameKey

N, T, U, D = 7, 3, 4, 5


def tokens(absent=True):
    g = torch.Generator().manual_seed(0)
    q, d = (torch.randn(N, k, D, generator=g, dtype=torch.float64) for k in (T, U))
    if absent:
        q[1, 2], d[2, 1:], d[4, 0] = 0, 0, 0
    return q.requires_grad_(), d.requires_grad_()


def slow(q, d, temperature):
    s = torch.zeros(N, N, dtype=torch.float64)
    for i in range(N):
        for j in range(N):
            there = [u for u in range(U) if bool((d[j, u] != 0).any())]
            asked = [t for t in range(T) if bool((q[i, t] != 0).any())]
            best = [max(normalize(q[i, t], dim=0) @ normalize(d[j, u], dim=0) for u in there) for t in asked]
            s[i, j] = sum(best) / temperature
    return s


def rows(z, view):
    ids = torch.arange(N)
    return Embeddings(z.flatten(1), {"id": ids, "view": 0 * ids + view, "label": ids % 3})


@pytest.mark.parametrize("tile", [1, 200, 1 << 20])
@pytest.mark.parametrize("absent", [False, True])
def test_it_is_its_slow_loop(tile, absent):
    q, d = tokens(absent)
    kernel = MaxSim(width=D, temperature=0.5)
    mean = contrast(rows(q, 0), rows(d, 1), SameKey("id"), loss=InfoNCE(), kernel=kernel, tile=tile)
    wanted = cross_entropy(slow(q, d, 0.5), torch.arange(N), reduction="sum")
    torch.testing.assert_close(mean.total, wanted)
    torch.testing.assert_close(torch.autograd.grad(mean.total, [q, d]), torch.autograd.grad(wanted, [q, d]))
    each = per_row(rows(q, 0), rows(d, 1), SameKey("id"), loss=InfoNCE(), kernel=kernel, tile=tile)
    torch.testing.assert_close(each, cross_entropy(slow(q, d, 0.5), torch.arange(N), reduction="none").detach())


def test_other_losses_miners_stacks_and_reductions_go_with_it():
    q, d = tokens()
    kernel = MaxSim(width=D)
    s = slow(q, d, 1.0)
    own = contrast(rows(q, 0), rows(d, 1), SameKey("label"), loss=Triplet(margin=0.3), kernel=kernel)
    label = torch.arange(N) % 3
    lost = [
        (s[i, n] - s[i, p] + 0.3).clamp_min(0)
        for i in range(N) for p in range(N) for n in range(N) if label[i] == label[p] != label[n]
    ]  # fmt: skip
    torch.testing.assert_close(own.value(), torch.stack(lost).mean())
    mined = contrast(rows(q, 0), rows(d, 1), FalseNegatives(SameKey("id"), margin=0.0), loss=InfoNCE(), kernel=kernel)
    kept = s.masked_fill(s > s.diagonal()[:, None], -torch.inf)
    torch.testing.assert_close(mined.total, cross_entropy(kept, torch.arange(N), reduction="sum"))
    stack = [Stack(r.z.expand(2, -1, -1), {k: v[None] for k, v in r.keys.items()}) for r in (rows(q, 0), rows(d, 1))]
    both = contrast(*stack, SameKey("id"), loss=InfoNCE(), kernel=kernel)
    twice = 2 * cross_entropy(s, torch.arange(N), reduction="sum")
    torch.testing.assert_close(both.total, twice)
    torch.testing.assert_close(torch.autograd.grad(both.total, d), torch.autograd.grad(twice, d, retain_graph=True))
    loss = kt.losses.Contrastive(loss="infonce", kernel=kernel, reduction="none")
    each = loss(rows(q, 0), candidates=rows(d, 1))
    wanted = cross_entropy(slow(q, d, 1.0), torch.arange(N), reduction="none")
    torch.testing.assert_close(each, wanted)
    weights = torch.linspace(-1, 1, N, dtype=torch.float64)
    torch.testing.assert_close(*(torch.autograd.grad(x @ weights, [q, d]) for x in (each, wanted)))


def test_rows_that_are_no_whole_number_of_vectors_are_refused():
    with pytest.raises(UserError, match="rows of width 7; expected vectors of width 5"):
        MaxSim(width=5)(torch.randn(2, 7), torch.randn(2, 5))
