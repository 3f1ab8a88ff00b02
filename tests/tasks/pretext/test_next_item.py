"""Next item: the loss against a slow loop, rows without the field, and equal results in passes and on ranks."""

import math

import pytest
import torch

from kontrast.checks.processes import MAIN, doubles, same, single_task, trace
from kontrast.core import containers
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.sasrec import SASRec
from kontrast.tasks.pretext.next_item import NextItem
from tests.support.learners import batches_of, encoders_of

N, WIDTH, ITEMS = 7, 8, 12


def learner(**settings):
    torch.manual_seed(0)
    networks = encoders_of({"h": SASRec(vocabulary=ITEMS, length=6, width=WIDTH, depth=1, dropout=0.0)}, {"h": "h"})
    facts = {"h": {"vocabulary": ITEMS, "special": (0, 1)}}
    info = EncoderInfo({"h": WIDTH}, {"h": 2 * WIDTH}, modalities={"h": "history"}, facts=facts)
    return single_task(NextItem(info, **settings), networks)


def views():
    g = torch.Generator().manual_seed(1)
    x = torch.randint(0, ITEMS, (N, 6), generator=g)  # 0 and 1 are no items
    length = torch.tensor([6, 5, 4, 1, 6, 2, 3])
    return x.masked_fill(torch.arange(6) >= length[:, None], -1)


def batch(made, here=None):
    keys = {"id": torch.arange(N), "has h": torch.ones(N, dtype=torch.bool) if here is None else here}
    return batches_of(made, {"h": views()}, keys)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_loss_is_the_cross_entropy_among_the_different_items_of_the_batch(temperature):
    with doubles():
        made, here = learner(temperature=temperature).double(), torch.arange(N) != 4
        batches = batch(made, here)
        (out,) = made(*containers.flattened(batches))[MAIN].values()
        rows = {"h": Embeddings(out.z, {**batches[""].keys, **out.keys})}
        term = made.served.compute_loss(rows, Ranks(alone=True))["next"]
        z, x, vectors = out.z.detach(), views(), made.encoders.encoder("h").items.weight.detach()
    shown = {int(i) for row in x[here] for i in row if i >= 2}
    losses = []
    for row, at in ((row, at) for row in range(N) for at in range(5)):
        now, then = int(x[row, at]), int(x[row, at + 1])
        if here[row] and now >= 2 and then >= 2:
            scores = {i: math.exp(float(z[row, at, :WIDTH] @ vectors[i]) / temperature) for i in shown}
            losses.append(-math.log(scores[then] / sum(scores.values())))
    assert float(term.count) == len(losses) > 5
    assert term.value().item() == pytest.approx(sum(losses) / len(losses), rel=1e-9)


def traced(ranks, passes=None):
    with doubles():
        made = learner().double()
        return trace(ranks, made, [batch(made, torch.arange(N) != 4)[""]], passes=passes)


def test_passes_give_the_loss_and_gradient_of_one():
    same(traced(Ranks(alone=True)), [traced(Ranks(alone=True), passes=3)])


@pytest.mark.dist
def test_two_processes_compute_what_one_does():
    same(traced(Ranks(alone=True)), on_ranks(traced, 2))


def test_other_fields_and_encoders_are_refused():
    with pytest.raises(UserError, match="found 'x', a field of text with 8 features per position"):
        NextItem(EncoderInfo({"x": 8}, {"x": 8}, modalities={"x": "text"}))
    with pytest.raises(UserError, match="found 'x', a field of history with no features per position"):
        NextItem(EncoderInfo({"x": 8}, modalities={"x": "history"}))
