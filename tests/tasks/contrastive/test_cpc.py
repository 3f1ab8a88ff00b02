"""CPC: instants where they should lie, the loss of a slow loop, and latents that do not know what they predict."""

import math

import pytest
import torch

from kontrast.core import containers
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.tcn import TCN
from kontrast.tasks.contrastive.cpc import CPC
from kontrast.tasks.steps_ahead import steps_ahead
from kontrast.training.step import step
from tests.support.learners import learner_of, outputs

pytestmark = pytest.mark.quick

LENGTHS = [9, 16, 5, 1, 16, 2, 12, 7]
INFO = EncoderInfo({"x": 4}, {"x": 4}, causal={"x": True})


def series():
    """Rows of several lengths, one with a gap."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(len(LENGTHS), 1, max(LENGTHS), generator=g).cumsum(2)
    x[(torch.arange(max(LENGTHS)) >= torch.tensor(LENGTHS)[:, None])[:, None]] = math.nan
    x[1, :, 4:9] = math.nan
    n = 1 + torch.arange(len(LENGTHS))
    return Batch({"contrast/x": View("x", x)}, {"id": n * 7919 % 104_729, "has x": n > 0, "content x": n})


def learner(**settings):
    torch.manual_seed(0)
    encoder = TCN(length=16, hidden=6, out=4, depth=1, causal=True)
    made = learner_of(CPC, {"x": encoder}, **{"steps": 3, "instants": 4, "context": 5, **settings})
    made.begin(Clock(3, 0.0))
    return made


def test_instants_are_drawn_alike_in_any_padding_and_are_all_that_something_follows():
    task, ends = CPC(INFO, instants=6), torch.tensor([0, 1, 2, 5, 40])
    ids, seen = torch.arange(5) * 31 + 7, []
    for number in range(60):
        task.begin(Clock(number, 0.0))
        at = task.drawn(ids, ends, 40)
        assert torch.equal(at, task.drawn(ids, ends, 60))
        assert torch.equal(at[2:4], task.drawn(ids[2:4], ends[2:4], 5))
        assert (at >= 0).sum(1).tolist() == [0, 0, 1, 4, 6]
        assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in at)
        assert at[3].sort().values.tolist() == [-1, -1, 0, 1, 2, 3]
        seen.append(at[4])
    counts = torch.cat(seen).bincount(minlength=39)
    assert len(counts) == 39
    assert counts.min() > 0  # 9 expected of each


def test_predictions_are_made_from_the_past_of_their_instant_for_what_follows():
    made, batch = learner(), series()
    out = made(*containers.flattened({"": batch}))["contrast"]
    task, x = made.served, batch.views["contrast/x"].data
    z, weights = made.encoders("x", x).dense, task.ahead.weight.view(3, 4, 5)
    at = task.drawn(batch.keys["id"], torch.tensor(LENGTHS), z.shape[1])
    for a in range(4):  # what follows the instant is replaced: a prediction knows nothing of it
        future = torch.arange(16) > at[:, a, None]
        contexts = task.context(made.encoders("x", torch.where(future[:, None], 7.0, x)).dense)[0]
        for row, t in enumerate(at[:, a].tolist()):
            for k in range(1, 4):
                place = row, 3 * a + k - 1
                assert bool(out["latents"].keys["mask"][place]) == (t >= 0 and t + k < LENGTHS[row])
                if out["latents"].keys["mask"][place]:
                    expected = weights[k - 1] @ contexts[row, t]
                    torch.testing.assert_close(out["predictions"].z[place], expected, atol=1e-5, rtol=1e-4)
                    torch.testing.assert_close(out["latents"].z[place], z[row, t + k])


def rows(steps=3, places=2, n=6, width=4):
    g = torch.Generator().manual_seed(1)
    z = torch.randn(2, n, places * steps, width, generator=g, dtype=torch.float64)
    content = torch.tensor([0, 1, 2, 3, 1, 5])  # the second and the fifth are duplicates
    mask = torch.rand(n, places * steps, generator=g) < 0.8
    keys = {"id": torch.tensor([41, 7, 99, 3, 65, 12]), "content x": content, "mask": mask}
    return [Embeddings(one, keys) for one in z]


@pytest.mark.parametrize("whole", [False, True])
def test_the_loss_is_that_of_a_slow_loop_over_the_formula(whole):
    predictions, latents = rows()
    mask, content = predictions.keys["mask"] | whole, predictions.keys["content x"].tolist()
    predictions, latents = (Embeddings(r.z, {**r.keys, "mask": mask}) for r in (predictions, latents))
    total, count, negatives = 0.0, 0, 0
    for k in range(3):
        for i in range(6):
            for a in range(2):
                if not mask[i, 3 * a + k]:
                    continue
                mass = 0.0
                for j in range(6):
                    for b in range(2):
                        if mask[j, 3 * b + k] and (i == j or content[i] != content[j]):
                            mass += math.exp((predictions.z[i, 3 * a + k] @ latents.z[j, 3 * b + k]).item())
                            negatives += (i, a) != (j, b)
                total += math.log(mass) - (predictions.z[i, 3 * a + k] @ latents.z[i, 3 * a + k]).item()
                count += 1
    term = steps_ahead(predictions, latents, Ranks(), steps=3, content="content x")
    assert term.value().item() == pytest.approx(total / count, rel=1e-12)
    assert (int(term.count), int(term.negatives)) == (count, negatives)


def test_rows_without_the_field_and_rows_too_short_give_what_they_can():
    made, batch = learner(), series()
    here = torch.arange(8) % 3 != 1
    lacking = Batch(batch.views, {**batch.keys, "has x": here})
    alone = Batch({n: v[here] for n, v in batch.views.items()}, {n: k[here] for n, k in batch.keys.items()})
    losses = [step(made, made, {"": one}, Ranks(), seed=0) for one in (lacking, alone)]
    assert losses[0].loss == pytest.approx(losses[1].loss, rel=1e-5)
    assert losses[0].anchors == losses[1].anchors > 0
    [(one, two)] = made.positive_pairs(losses[0].rows)
    assert len(one) == len(two) == 4  # of the five, one has a single instant


def test_the_next_step_draws_anew_and_a_resumed_run_goes_on():
    first, resumed = learner(), learner()
    resumed.load_state_dict(first.state_dict())
    batch, found = {"": series()}, []
    for made, number in ((first, 1), (first, 2), (resumed, 2)):
        made.begin(Clock(number, 0.0))
        found.append(outputs(made, batch)["latents"])
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


@pytest.mark.parametrize("info", [EncoderInfo({"x": 4}, {"x": 4}), EncoderInfo({"x": 4}, causal={"x": True})])
def test_an_encoder_that_sees_the_future_is_refused_in_words(info):
    with pytest.raises(UserError, match=r"the encoder of 'x' sees it already; .*--encoder x=tcn,causal=true"):
        CPC(info)
    with pytest.raises(UserError, match="predicts instants of series; found 'photo', a field of image"):
        CPC(EncoderInfo({"photo": 8}, modalities={"photo": "image"}))
