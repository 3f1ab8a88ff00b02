"""VIME: the loss against a slow loop, rows without the table, and equal results in passes."""

import math

import pytest
import torch

from kontrast.checks.processes import MAIN, doubles, same, single_task, trace
from kontrast.core import containers
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.encoders.column_mlp import ColumnMLP
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.tasks.pretext.vime import VIME
from tests.support.learners import batches_of, encoders_of

SIZES = [4, 2, 3]
N = 8


def learner(**settings):
    torch.manual_seed(0)
    encoders = encoders_of({"t": ColumnMLP(column_sizes=SIZES, hidden=8, out=6)}, {"t": "t"})
    info = EncoderInfo({"t": 14}, modalities={"t": "table"}, facts={"t": {"column_sizes": SIZES}})
    return single_task(VIME(info, **settings), encoders)


def batch(learner, here=None):
    g = torch.Generator().manual_seed(1)
    whole = torch.rand(N, sum(SIZES), generator=g)
    changed = whole.clone()
    changed[:, 4:6] = torch.rand(N, 2, generator=g)  # the second column
    changed[::2, 7] += 1  # the third, of every other row
    keys = {"id": torch.arange(N), "has t": torch.ones(N, dtype=torch.bool) if here is None else here}
    return batches_of(learner, {"changed": changed, "whole": whole}, keys), whole


def terms_of(made, batches):
    out = {
        name: Embeddings(o.z, {**batches[""].keys, **o.keys})
        for name, o in made(*containers.flattened(batches))[MAIN].items()
    }
    return made.served.compute_loss(out, Ranks(alone=True)), out


def test_the_loss_is_that_of_a_slow_loop():
    made = learner(alpha=2.0)
    batches, whole = batch(made)
    with torch.no_grad():
        terms, out = terms_of(made, batches)
    z = out["changed"].z.detach().double()
    mask, features = 0.0, 0.0
    for i in range(N):
        for c in range(3):
            p = 1 / (1 + math.exp(-z[i, c]))
            replaced = c == 1 or (c == 2 and i % 2 == 0)
            mask -= math.log(p if replaced else 1 - p)
        for f in range(9):
            features += (float(z[i, 3 + f]) - float(whole[i, f])) ** 2
    assert float(terms["mask"].value()) == pytest.approx(mask / (3 * N), rel=1e-5)
    assert float(terms["features"].value()) == pytest.approx(2 * features / (9 * N), rel=1e-5)
    assert float(terms["mask"].chance / terms["mask"].count) == pytest.approx(math.log(2))


def test_rows_without_the_table_have_no_loss():
    made, here = learner(), torch.arange(N) != 3
    terms, _ = terms_of(made, batch(made, here)[0])
    assert float(terms["mask"].count) == 3 * (N - 1)


def traced(ranks, passes=None):
    with doubles():
        made = learner()
        return trace(ranks, made, [batch(made)[0][""]], passes=passes)


def test_passes_give_the_loss_and_gradient_of_one():
    same(traced(Ranks(alone=True)), [traced(Ranks(alone=True), passes=3)])


@pytest.mark.dist
def test_two_processes_compute_what_one_does():
    same(traced(Ranks(alone=True)), on_ranks(traced, 2))


def test_other_fields_and_settings_are_refused():
    with pytest.raises(UserError, match="task 'vime' takes a table; found 'x', a field of image kind"):
        VIME(EncoderInfo({"x": 6}, modalities={"x": "image"}))
    with pytest.raises(UserError, match="alpha=-1"):
        learner(alpha=-1.0)
