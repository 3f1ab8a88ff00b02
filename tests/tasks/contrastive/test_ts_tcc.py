"""TS-TCC: contexts of the past alone, predictions of the other view, and the loss of a slow loop."""

import math

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.clock import Clock
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.tcn import TCN
from kontrast.tasks.contrastive.ts_tcc import TSTCC
from kontrast.training.step import step
from tests.support.learners import batches_of, learner_of, outputs

pytestmark = pytest.mark.quick

LENGTHS = [9, 16, 5, 1, 16, 2, 12, 7]


def views():
    """Both views of rows of several lengths, one with a gap; in the strong one that gap has moved to the end."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, len(LENGTHS), 1, max(LENGTHS), generator=g).double().cumsum(3)
    x[:, (torch.arange(max(LENGTHS)) >= torch.tensor(LENGTHS)[:, None])[:, None]] = math.nan
    x[0, 1, :, 4:9], x[1, 1, :, 13:] = math.nan, math.nan
    return dict(zip(("weak", "strong"), x, strict=True))


def keys():
    n = 1 + torch.arange(len(LENGTHS))
    return {"id": n * 7919 % 104_729, "has x": n > 0, "content x": n.where(n != 7, 5)}


def learner(**settings):
    torch.manual_seed(0)
    encoder = TCN(length=16, hidden=6, out=8, depth=1, causal=True)
    made = learner_of(TSTCC, {"x": encoder}, **{"steps": 3, "hidden": 8, **settings}).double()
    made.begin(Clock(3, 0.0))
    return made


def cross_entropy(predicted, latents, there, content):
    """Mean over what exists of -log softmax, step by step, among rows that are no duplicates."""
    total, count = 0.0, 0
    for k in range(there.shape[1]):
        for i in torch.nonzero(there[:, k]).flatten().tolist():
            logits = predicted[i, k] @ latents[:, k].T
            others = [j for j in range(len(there)) if there[j, k] and (i == j or content[i] != content[j])]
            total += (logits[others].logsumexp(0) - logits[i]).item()
            count += 1
    return total / count


def test_each_part_is_that_of_a_slow_loop_over_the_formula():
    made, known = learner(temporal=0.5, contextual=2.0), keys()
    task, batches = made.served, batches_of(made, views(), known)
    outcome = step(made, made, batches, Ranks(), seed=0)
    z = {name: F.normalize(made.encoders("x", x).dense, dim=2) for name, x in views().items()}
    ends = torch.tensor([9, 13, 5, 1, 16, 2, 12, 7])
    at = [task.draw * max(n - 3, 1) >> 24 for n in ends.tolist()]
    assert 0 < at[4] < 13
    contexts = {}
    for name, dense in z.items():  # each row alone, cut off after its instant
        h = [torch.cat([task.first[0], task.enter(dense[i, : t + 1])])[None] for i, t in enumerate(at)]
        for layer in task.layers:
            h = [layer(one) for one in h]
        contexts[name] = torch.cat([one[:, 0] for one in h])
    there = torch.tensor([[t + k < n for k in (1, 2, 3)] for t, n in zip(at, ends.tolist(), strict=True)])
    assert there.sum(1).tolist() == [3, 3, 3, 0, 3, 1, 3, 3]
    content, expected = known["content x"].tolist(), {}
    for one, other in (("weak", "strong"), ("strong", "weak")):
        latents = torch.stack([z[other][:, [min(t + k, 15) for t in at]].diagonal().T for k in (1, 2, 3)], 1)
        predicted = (contexts[one] @ task.ahead.weight.T + task.ahead.bias).view(8, 3, 8)
        expected[f"from {one}"] = 0.5 * cross_entropy(predicted, latents, there, content)
    both = F.normalize(torch.cat([task.head(contexts[name]) for name in ("weak", "strong")]), dim=1)
    total = 0.0
    for i in range(16):
        similar = both @ both[i] / 0.2
        others = [j for j in range(16) if j != i and (i % 8 == j % 8 or content[i % 8] != content[j % 8])]
        total += (similar[others].logsumexp(0) - similar[(i + 8) % 16]).item()
    expected["contexts"] = 2.0 * total / 16
    assert outcome.loss == pytest.approx(sum(expected.values()), rel=1e-9)
    terms = task.compute_loss(outcome.rows["contrast"], Ranks())
    assert {name: term.value().item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-9)


def test_a_context_sees_nothing_after_its_instant():
    task = learner().served
    g, past = torch.Generator().manual_seed(2), torch.tensor([0, 3, 6])
    z = torch.randn(3, 7, 8, generator=g, dtype=torch.float64)
    future = torch.arange(7) > past[:, None]
    other = torch.where(future[..., None], torch.randn(3, 7, 8, generator=g, dtype=torch.float64), z)
    torch.testing.assert_close(task.context(other, past), task.context(z, past), rtol=0, atol=0)
    assert not torch.allclose(task.context(-z, past), task.context(z, past))


def test_rows_without_the_field_change_nothing():
    made, known = learner(), keys()
    here = torch.arange(8) % 3 != 1
    lacking = batches_of(made, views(), {**known, "has x": here})
    alone = batches_of(made, {n: x[here] for n, x in views().items()}, {n: k[here] for n, k in known.items()})
    losses = [step(made, made, batches, Ranks(), seed=0) for batches in (lacking, alone)]
    assert losses[0].loss == pytest.approx(losses[1].loss, rel=1e-6)  # rows put back among others are float32
    assert losses[0].anchors == losses[1].anchors


def test_the_next_step_draws_anew_and_a_resumed_run_goes_on():
    first, resumed = learner(), learner()
    resumed.load_state_dict(first.state_dict())
    batches, found = batches_of(first, views(), keys()), []
    for made, number in ((first, 1), (first, 2), (resumed, 2)):
        made.begin(Clock(number, 0.0))
        found.append(outputs(made, batches)["weak"])
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


def test_what_it_cannot_do_is_said_in_words():
    with pytest.raises(UserError, match="predicts instants of series; found 'photo', a field of image"):
        TSTCC(EncoderInfo({"photo": 8}, modalities={"photo": "image"}))
    with pytest.raises(UserError, match="the encoder of 'x' gives none"):
        TSTCC(EncoderInfo({"x": 8}))
    with pytest.raises(UserError, match="hidden=30; expected a width that 4 heads divide"):
        TSTCC(EncoderInfo({"x": 8}, {"x": 8}), hidden=30)
