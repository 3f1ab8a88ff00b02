"""CoST: the loss of slow loops over the paper's formulas, distortions that belong to the row, rows of any length."""

import math

import pytest
import torch

import kontrast as kt
from kontrast.checks.processes import MAIN
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.encoders.trend_season_cnn import TrendSeasonCNN
from kontrast.tasks.contrastive.cost import CoST
from kontrast.training.step import step
from tests.support.learners import learner_of

pytestmark = pytest.mark.quick

INFO = EncoderInfo({"x": 6}, {"x": 6}, facts={"x": {"length": 16}})


def series(lengths=(9, 16, 5, 1, 16, 2), channels=2, pad=0):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(len(lengths), channels, 16, generator=g).cumsum(2)
    x = torch.nn.functional.pad(x, (0, pad)).masked_fill(
        torch.arange(16 + pad) >= torch.tensor(lengths)[:, None, None], math.nan
    )
    n = torch.arange(len(lengths))
    return Batch({"x": View("x", x)}, {"id": n * 7919 % 104_729, "has x": n >= 0, "content x": n})


def test_views_are_scaled_shifted_and_jittered_half_of_the_time_whatever_the_padding():
    task = CoST(INFO, samples=9)
    task.begin(Clock(3, 0.0))
    batch, padded = series(), series(pad=5)
    for view in ("1", "2"):
        one, two = (task.distorted(b).views[view].data for b in (batch, padded))
        torch.testing.assert_close(one, two[..., :16], equal_nan=True)
        assert torch.equal(one.isnan(), batch.views["x"].data.isnan())
    x = torch.stack([torch.zeros(64), torch.ones(64), torch.full((64,), 2.0)]).expand(400, 3, 64)
    many = Batch({"x": View("x", x)}, {"id": torch.arange(400), "has x": torch.arange(400) >= 0})
    made = task.distorted(many).views["1"].data
    jitter = made.std(2) > 1e-3
    shift, slope = made[:, 0].mean(1), (made[:, 2] - made[:, 1]).mean(1)
    assert jitter[:, 0].float().mean().item() == pytest.approx(0.5, abs=0.08)  # a row's decision, for all its channels
    assert torch.equal(jitter[:, 0], jitter[:, 2])
    assert made[jitter[:, 0]].std(2).mean().item() == pytest.approx(0.5, abs=0.02)
    quiet = ~jitter[:, 0]
    assert (shift[quiet].abs() > 1e-6).float().mean().item() == pytest.approx(0.5, abs=0.12)
    assert shift[quiet][shift[quiet].abs() > 1e-6].std().item() == pytest.approx(0.5, abs=0.1)
    plain = quiet & (made[:, 0, 0].abs() < 1e-6)
    assert ((slope[plain] - 1).abs() < 1e-5).float().mean().item() == pytest.approx(0.5, abs=0.12)
    task.begin(Clock(4, 0.0))
    assert not torch.equal(task.distorted(many).views["1"].data, made)


def test_the_trend_is_taken_at_the_same_instant_of_both_views_inside_the_row():
    task, batch = CoST(INFO, samples=9), series()
    mask = batch.views["x"].data[:, 0].isfinite()
    place = torch.arange(16.0).expand(6, 16)[..., None].expand(-1, -1, 6)
    found = []
    for number in range(60):
        task.begin(Clock(number, 0.0))
        one = task.trend(Features(place[:, 0], place, mask), batch)
        assert torch.equal(one, task.trend(Features(place[:, 0], place + 0, mask), batch))
        assert one.shape == (6, 3)
        found.append(one[:, 0])
    last = torch.stack(found)
    assert (last < torch.tensor([9, 16, 5, 1, 16, 2])).all()
    assert last[:, 1].mean().item() == pytest.approx(7.5, abs=2)
    assert (last[:, 1] != last[:, 4]).any()


def slow_instances(one, two):
    """NT-Xent of inner products per frequency without temperature, averaged over frequencies and both views' rows."""
    rows, total = torch.cat([one, two]), 0.0
    n = len(one)
    for f in range(rows.shape[1]):
        for i in range(2 * n):
            alike = [float(rows[i, f] @ rows[k, f]) for k in range(2 * n)]
            others = sum(math.exp(alike[k]) for k in range(2 * n) if k != i)
            total -= alike[(i + n) % (2 * n)] - math.log(others)
    return total / (2 * n * rows.shape[1])


def test_the_loss_is_that_of_slow_loops_over_the_formulas():
    g, n = torch.Generator().manual_seed(1), 5
    ids = torch.tensor([41, 7, 99, 3, 65])
    keys = {"id": ids, "view": ids * 0, "has x": torch.arange(n) != 3, "content x": ids}
    task = CoST(INFO, samples=40, queue=4, alpha=0.3)
    names = ["trend", "key", "amplitude 1", "amplitude 2", "phase 1", "phase 2"]
    out = {
        name: Embeddings(torch.randn(n, *((3,) if number < 2 else (9, 3)), generator=g).double(), keys)
        for number, name in enumerate(names)
    }
    found = task.compute_loss(out, Ranks())
    here, queue = keys["has x"], task.queue.z.double()
    total = 0.0
    for q, k in zip(out["trend"].z[here], out["key"].z[here], strict=True):
        logits = [float(torch.cosine_similarity(q, other, dim=0)) / 0.07 for other in (k, *queue)]
        total += math.log(sum(math.exp(one) for one in logits)) - logits[0]
    assert found["trend"].value().item() == pytest.approx(total / 4, rel=1e-6)
    for part in ("amplitude", "phase"):
        wanted = slow_instances(*(out[f"{part} {view}"].z[here] for view in "12"))
        assert found[part].value().item() == pytest.approx(0.15 * wanted, rel=1e-9)


def test_amplitude_and_phase_are_those_of_the_normalised_season():
    torch.manual_seed(0)
    learner = learner_of(CoST, {"x": TrendSeasonCNN(channels=2, length=16, hidden=4, out=6, depth=1)}, samples=6)
    task, batch = learner.served.eval(), series()
    learner.eval()
    task.begin(Clock(1, 0.0))
    task.length = 16
    encoders = lambda made, names: {n: learner.encoders("x", made.views[n].data) for n in names}  # noqa: E731
    out = task.forward(encoders, batch)
    dense = learner.encoders("x", task.distorted(batch).views["2"].data).dense
    season = dense[0, :9, 3:] / dense[0, :9, 3:].norm(dim=1, keepdim=True)
    spectrum = [
        sum(season[t] * complex(math.cos(a := -math.pi * f * t / 8), math.sin(a)) for t in range(9)) for f in range(9)
    ]
    found = torch.polar(out["amplitude 2"].z[0], out["phase 2"].z[0])
    torch.testing.assert_close(found, torch.stack(spectrum), atol=1e-4, rtol=1e-3)


def test_rows_without_the_field_change_nothing_and_the_queue_and_copies_move():
    torch.manual_seed(0)
    net = TrendSeasonCNN(channels=2, length=16, hidden=4, out=6, depth=1, dropout=0.0)
    learner, batch = learner_of(CoST, {"x": net}, samples=12, queue=5), series()
    batch = Batch({f"{MAIN}/x": batch.views["x"]}, batch.keys)
    here = torch.arange(6) % 3 != 1
    learner.begin(Clock(5, 0.0))
    lacking = Batch(batch.views, {**batch.keys, "has x": here})
    alone = Batch({n: v[here] for n, v in batch.views.items()}, {n: k[here] for n, k in batch.keys.items()})
    losses = [step(learner, learner, {"": one}, Ranks(), seed=0) for one in (lacking, alone)]
    assert losses[0].loss == pytest.approx(losses[1].loss, rel=1e-4)
    task = learner.served
    with torch.no_grad():
        net.bias.add_(1.0)
        task.head.net[0].weight.add_(1.0)
    learner.after_update(losses[0].rows, Ranks())
    assert sorted(task.queue.keys_of[0].tolist())[1:] == sorted(batch.keys["id"][here].tolist())
    moved = learner.encoders.momentum["x"].bias - net.bias
    assert moved.mean().item() == pytest.approx(-0.999, abs=1e-4)
    resumed = learner_of(
        CoST, {"x": TrendSeasonCNN(channels=2, length=16, hidden=4, out=6, depth=1)}, samples=12, queue=5
    )
    resumed.load_state_dict(learner.state_dict())
    for one in (learner, resumed):
        one.begin(Clock(6, 0.0))
    views = [one.served.distorted(series()).views["1"].data for one in (learner, resumed)]
    assert torch.equal(*(view.nan_to_num() for view in views))


def test_what_it_cannot_do_is_said_in_words():
    with pytest.raises(UserError, match="trend and season of series; found 'photo', a field of image"):
        CoST(EncoderInfo({"photo": 8}, modalities={"photo": "image"}), samples=9)
    with pytest.raises(UserError, match="queue=10, and there are 9 training rows"):
        CoST(INFO, samples=9, queue=10)
    with pytest.raises(UserError, match="the encoder of 'x' gives none"):
        CoST(INFO, samples=9).instants(Features(torch.zeros(2, 6)))


@pytest.mark.slow
def test_the_recipe_trains_on_series_with_gaps_and_embeds_rows_and_instants(tmp_path):
    g = torch.Generator().manual_seed(0)
    rows = {"x": [torch.randn(20 + n % 5, generator=g).cumsum(0).tolist() for n in range(20)]}
    for n, row in enumerate(rows["x"]):
        row[n % 15 : n % 15 + 3] = [None] * 3
    settings = {"plan.batch": 8, "encoders.series.hidden": 4, "encoders.series.out": 4, "encoders.series.depth": 1}
    run = kt.train(rows, recipe="cost", fields={"x": "series"}, settings=settings, steps=2, out=tmp_path / "run")
    assert torch.tensor(run.embed({"x": rows["x"][:5]}).z["x"]).isfinite().all()
    assert run.embed_instants({"x": rows["x"][:2]}).z.shape == (41, 4)
