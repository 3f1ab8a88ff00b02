"""TF-C: frequencies are lost and gained per row, and the loss is that of slow loops over the formula."""

import math
from typing import ClassVar

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
from kontrast.encoders.time_frequency import TimeFrequency
from kontrast.reporting.logger import Logger
from kontrast.tasks.contrastive.tfc import TFC
from kontrast.training.step import step
from tests.support.learners import learner_of

pytestmark = pytest.mark.quick

INFO = EncoderInfo({"x": 12}, facts={"x": {"length": 16}})


def series(n=8):
    g = torch.Generator().manual_seed(0)
    lengths = torch.tensor([9, 16, 5, 3, 16, 2, 12, 16])[:n]
    x = torch.randn(n, 2, 16, generator=g).cumsum(2)
    return x.masked_fill(torch.arange(16) >= lengths[:, None, None], math.nan)


def keys_of(n=8):
    at = torch.arange(n)
    return {"id": at * 7919 % 104_729, "has x": at >= 0, "content x": at}


def test_frequencies_are_lost_and_gained_with_their_phases_kept():
    task, x = TFC(INFO, change=0.3), torch.randn(300, 2, 16)
    task.begin(Clock(1, 0.0))
    changed = task.changed(x, torch.arange(300))
    before, after = torch.fft.rfft(x.double(), dim=2), torch.fft.rfft(changed.double(), dim=2)
    lost = after.abs() < 1e-5
    assert lost.float().mean().item() == pytest.approx(0.3 * 0.7, abs=0.02)  # what is lost may gain again
    loudest = before.abs().amax(2, keepdim=True)
    assert (after.abs() <= before.abs() + 0.1 * loudest + 1e-5).all()
    kept = (after.abs() > 1e-3) & (before.abs() > 1e-3)
    turn = (after / before)[kept]
    assert turn.imag.abs().max() < 1e-3
    assert turn.real.min() > 0
    same = ((after - before).abs() < 1e-4).float().mean().item()
    assert same == pytest.approx(0.7 * 0.7, abs=0.03)


def test_changes_belong_to_the_row_and_the_step_and_gaps_stay():
    task, x, ids = TFC(INFO, change=0.3), series(), keys_of()["id"]
    task.begin(Clock(1, 0.0))
    one, order = task.changed(x, ids), torch.arange(7, -1, -1)
    torch.testing.assert_close(task.changed(x[order], ids[order])[order], one, equal_nan=True)
    torch.testing.assert_close(task.changed(x[:1, :, :9], ids[:1]), one[:1, :, :9], equal_nan=True)
    assert torch.equal(one.isnan(), x.isnan())
    resumed = TFC(INFO, change=0.3)
    resumed.load_state_dict(task.state_dict())
    for again in (task, resumed):
        again.begin(Clock(2, 0.0))
    two = task.changed(x, ids)
    assert not torch.equal(two.nan_to_num(), one.nan_to_num())
    assert torch.equal(resumed.changed(x, ids).nan_to_num(), two.nan_to_num())
    none = TFC(INFO, change=0.0)
    none.begin(Clock(1, 0.0))
    torch.testing.assert_close(none.changed(x, ids), x, equal_nan=True, atol=1e-5, rtol=1e-4)


def slow(one, two, temperature=0.2):
    """NT-Xent of both views in both directions; the rows 1 and 4 are duplicates, which are no negatives."""
    rows, n, total = torch.cat([one, two]), len(one), 0.0
    for i in range(2 * n):
        alike = [float(torch.cosine_similarity(rows[i], other, dim=0)) / temperature for other in rows]
        twin = {1: 4, 4: 1}.get(i % n)
        among = [k for k in range(2 * n) if k != i and k % n != twin]
        total -= alike[(i + n) % (2 * n)] - math.log(sum(math.exp(alike[k]) for k in among))
    return total / (2 * n)


def test_the_loss_is_that_of_slow_loops_over_the_formula():
    g, keys, names = torch.Generator().manual_seed(1), keys_of(7), ("time", "frequency")
    keys |= {"view": keys["id"] * 0, "has x": torch.arange(7) != 6, "content x": torch.tensor([0, 1, 2, 3, 1, 5, 6])}
    out = {}
    for name in (*names, *(f"{one} augmented" for one in names), *(f"consistent {one}" for one in names)):
        out[name] = Embeddings(torch.randn(7, 5, generator=g).double(), keys)
    found = TFC(INFO, balance=0.3).compute_loss(out, Ranks())
    for name in names:
        wanted = slow(out[name].z[:6], out[f"{name} augmented"].z[:6])
        assert found[name].value().item() == pytest.approx(0.3 * wanted, rel=1e-9)
    wanted = slow(out["consistent time"].z[:6], out["consistent frequency"].z[:6])
    assert found["consistency"].value().item() == pytest.approx(wanted, rel=1e-9)
    assert list(found) == ["time", "frequency", "consistency"]


def test_rows_without_the_field_change_nothing_and_both_networks_learn():
    torch.manual_seed(0)
    learner = learner_of(TFC, {"x": TimeFrequency(channels=2, length=16, hidden=4, out=3)}, hidden=8, width=4)
    x, here = series(), torch.arange(8) % 3 != 1
    views = {f"{MAIN}/x.1": View("x", x), f"{MAIN}/x.2": View("x", x * 1.1)}
    lacking = Batch(views, {**keys_of(), "has x": here})
    alone = Batch({n: v[here] for n, v in views.items()}, {n: k[here] for n, k in keys_of().items()})
    learner.begin(Clock(5, 0.0))
    losses = [step(learner, learner, {"": one}, Ranks(), seed=0) for one in (lacking, alone)]
    assert losses[0].loss == pytest.approx(losses[1].loss, rel=1e-4)
    net = learner.encoders.networks["x"]
    for part in (net.time, net.frequency, *learner.served.heads):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_what_it_cannot_do_is_said_in_words():
    with pytest.raises(UserError, match="time and frequency of series; found 'photo', a field of image"):
        TFC(EncoderInfo({"photo": 8}, modalities={"photo": "image"}))


@pytest.mark.slow
def test_the_recipe_says_its_caution_trains_and_embeds(tmp_path):
    class Ear(Logger):
        said: ClassVar[dict[str, str]] = {}

        def fact(self, name, words):
            self.said[name] = words

    g = torch.Generator().manual_seed(0)
    rows = {"x": [torch.randn(20 + n % 5, generator=g).cumsum(0).tolist() for n in range(20)]}
    settings = {"plan.batch": 8, "encoders.series.hidden": 4, "encoders.series.out": 4}
    how = {"recipe": "tfc", "fields": {"x": "series"}, "settings": settings, "steps": 2, "out": tmp_path / "run"}
    run = kt.train(rows, **how, logger=Ear())
    assert "not reproducible" in Ear.said["caution"]
    assert torch.tensor(run.embed({"x": rows["x"][:5]}).z["x"]).isfinite().all()
