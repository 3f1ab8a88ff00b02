"""Losses on two processes of unequal batches, under DistributedDataParallel and without gathering."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import kontrast as kt
from kontrast.core.ranks import on_ranks
from kontrast.losses import functional as F
from tests.support import loss_calls
from tests.support.loss_calls import CASES, IDS, LABELS, D, N, built, takes, views

SHARED = ("NTXent", "CLIP", "SigLIP", "SupCon", "Triplet", "ArcFace", "ProxyAnchor", "BarlowTwins", "MoCo", "InfoNCE",
          "CrossBatchMemory", "DINO", "BYOL", "MultiPositive")  # fmt: skip


class Trained(nn.Module):
    """An encoder and a loss in one module, as DistributedDataParallel wants them."""

    def __init__(self, name, gather=True):
        super().__init__()
        learnable = {"learnable": True} if takes(name, "learnable") else {}
        self.net, self.name = nn.Linear(D, D).double(), name
        self.loss = built(name, gather=gather, **learnable).double()

    def forward(self, a, b, part):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loss_calls, "LABELS", LABELS[part])
            patch.setattr(loss_calls, "IDS", IDS[part])
            return CASES[self.name][1](self.loss, self.net(a), self.net(b))


def trained(ranks, names, cuts, gather=True):
    """The gradient of every parameter after each of two calls, and what is remembered."""
    part = slice(*cuts[ranks.rank : ranks.rank + 2]) if ranks.world > 1 else slice(0, N)
    a, b = (z.detach()[part] for z in views(torch.float64))
    found = {}
    for name in names:
        torch.manual_seed(1)
        model = Trained(name, gather)
        wrapped = DistributedDataParallel(model) if ranks.world > 1 else model
        values = []
        for _ in range(2):
            wrapped.zero_grad()
            value = wrapped(a, b, part)
            value.backward()
            values.append(value.detach())
        grads = {k: p.grad for k, p in model.named_parameters() if p.grad is not None}
        found[name] = values, grads, dict(model.named_buffers())
    return found


class One:
    world, rank = 1, 0


def by_oneself(ranks):
    part = slice(6 * ranks.rank, 6 * ranks.rank + 6)
    a, b = (z.detach()[part] for z in views())
    return [kt.losses.NTXent(gather=gather)(a, b) for gather in (True, False)]


def everything(ranks):
    """All that two processes do, in one start of them."""
    return trained(ranks, SHARED, (0, 5, N)), by_oneself(ranks)


@pytest.fixture(scope="module")
def two():
    return on_ranks(everything, 2)


@pytest.mark.timeout(200)
@pytest.mark.dist
def test_two_processes_of_unequal_batches_under_ddp_learn_what_one_learns(two):
    one, many = trained(One, SHARED, ()), [trained_ for trained_, _ in two]
    for name in SHARED:
        values, grads, buffers = one[name]
        for turn in range(2):
            mean = sum(rank[name][0][turn] for rank in many) / 2
            torch.testing.assert_close(mean, values[turn], rtol=1e-6, atol=1e-8, msg=name)
        for rank in many:
            torch.testing.assert_close(rank[name][1], grads, rtol=1e-5, atol=1e-8, msg=name)
            torch.testing.assert_close(rank[name][2], buffers, rtol=1e-6, atol=1e-8, msg=name)


@pytest.mark.dist
def test_without_gathering_each_process_compares_its_own_rows(two):
    found = [alone for _, alone in two]
    a, b = views()
    for rank, (together, alone) in enumerate(found):
        part = slice(6 * rank, 6 * rank + 6)
        torch.testing.assert_close(alone, F.ntxent(a[part], b[part]).detach())
        assert together != alone
    torch.testing.assert_close(sum(t for t, _ in found) / 2, F.ntxent(a, b).detach())
