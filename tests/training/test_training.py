"""The step, the optimisers, the schedule, the health and the big batches, each against something simpler."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import kontrast as kt
from kontrast.checks.processes import single_task
from kontrast.core import factory
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.experiment import Experiment, Plan
from kontrast.core.ranks import Ranks
from kontrast.core.task_choice import one_task
from kontrast.data.samplers.sampler import Sampled
from kontrast.data.samplers.shuffled import Shuffled
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.encoders.precision_mode import PrecisionMode
from kontrast.encoders.resnet import ResNet
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.task import Output, Task
from kontrast.training.health import examine, likely_causes, too_short
from kontrast.training.launcher import alone
from kontrast.training.loop import schedule, spare_core, twins_in
from kontrast.training.memory import forecast
from kontrast.training.optimiser import groups_of
from kontrast.training.precision import choose, prepare
from kontrast.training.step import step
from tests.support.learners import encoders_of, outputs
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.quick


class Small(Task):
    """SimCLR on vectors, with dropout and without batch norm, so that every way to compute a step must agree."""

    def __init__(self, dropout=0.3):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Dropout(dropout), nn.Linear(32, 16))
        self.kernel = Cosine(temperature=0.2, learnable=True)
        self.loss = InfoNCE()

    def views(self):
        return {"a": ViewSpec("x"), "b": ViewSpec("x")}

    def forward(self, encoders, batch):
        return {name: Output(self.net(view.data), name) for name, view in batch.views.items()}

    def compute_loss(self, rows, ranks):
        everyone = Embeddings.stack(*ranks.gather(rows).values())
        return {
            "contrast": contrast(
                Embeddings.stack(*rows.values()), everyone, SameKey("id"), loss=self.loss, kernel=self.kernel
            )
        }

    def positive_pairs(self, rows):
        return [(rows["a"], rows["b"])]


def batch_of(n=24, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 8, generator=g)
    views = {f"contrast/{name}": View("x", x + 0.1 * torch.randn(n, 8, generator=g)) for name in "ab"}
    return Batch(views, {"id": torch.arange(n), "has x": torch.ones(n, dtype=torch.bool), "content x": torch.arange(n)})


def small(**how):
    return single_task(Small(**how))


def gradients(method):
    return [p.grad.clone() for p in method.parameters()]


def test_a_cut_step_leaves_the_gradient_of_plain_autograd():
    torch.manual_seed(0)
    method, batch = small(dropout=0.0), batch_of()
    outcome = step(method, method, {"": batch}, Ranks(), seed=1)
    cut = gradients(method)
    method.zero_grad()
    z = outputs(method, {"": batch})
    keys = {"id": batch.keys["id"], "view": torch.zeros_like(batch.keys["id"])}
    rows = {"a": Embeddings(z["a"], keys), "b": Embeddings(z["b"], {**keys, "view": keys["view"] + 1})}
    loss = method.served.compute_loss(rows, Ranks())["contrast"].value()
    loss.backward()
    assert outcome.loss == pytest.approx(loss.item())
    torch.testing.assert_close(cut, gradients(method))


@pytest.mark.parametrize("passes", [5, 8, 24])
def test_gradient_caching_equals_one_pass_where_dropout_is_off_and_itself_where_it_is_on(passes):
    torch.manual_seed(0)
    method, batch = small(dropout=0.0), batch_of()
    whole = step(method, method, {"": batch}, Ranks(), seed=1)
    one = gradients(method)
    method.zero_grad()
    parts = step(method, method, {"": batch}, Ranks(), seed=1, passes=passes)
    torch.testing.assert_close(gradients(method), one, rtol=1e-5, atol=1e-7)
    assert parts.loss == pytest.approx(whole.loss)
    assert parts.negatives == pytest.approx(46 * 48)


def test_dropout_falls_alike_in_both_passes_of_gradient_caching():
    torch.manual_seed(0)
    method, batch = small(), batch_of()
    step(method, method, {"": batch}, Ranks(), seed=1, passes=6)
    cached = gradients(method)
    method.zero_grad()
    out = {name: [] for name in ("a", "b")}
    for k in range(4):  # the same dropout by hand: seed + k before pass k, one graph over all passes
        torch.manual_seed(1 + k)
        part = batch[slice(6 * k, 6 * k + 6)]
        for name, z in outputs(method, {"": part}).items():
            out[name].append(z)
    keys = {"id": batch.keys["id"], "view": torch.zeros_like(batch.keys["id"])}
    rows = {n: Embeddings(torch.cat(z), {**keys, "view": keys["view"] + i}) for i, (n, z) in enumerate(out.items())}
    method.served.compute_loss(rows, Ranks())["contrast"].value().backward()
    torch.testing.assert_close(cached, gradients(method), rtol=1e-5, atol=1e-7)


def test_lars_takes_the_papers_step():
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    made = factory.build("optimisers", "lars", {"momentum": 0.5, "trust": 0.01})
    optimiser = made.build(groups_of(net, 0.2, 0.1), 0.2)
    w, b, velocity, slide = net.weight.detach().clone(), net.bias.detach().clone(), 0, 0
    for _ in range(3):
        x = torch.randn(5, 4)
        net.zero_grad()
        net(x).square().sum().backward()
        g = net.weight.grad + 0.1 * w
        velocity = 0.5 * velocity + 0.01 * w.norm() / g.norm() * g
        slide = 0.5 * slide + net.bias.grad
        optimiser.step()
        w, b = w - 0.2 * velocity, b - 0.2 * slide
        torch.testing.assert_close(net.weight.detach(), w)
        torch.testing.assert_close(net.bias.detach(), b)


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_every_optimiser_lowers_the_loss_and_spares_vectors_the_decay(name):
    torch.manual_seed(0)
    method = small(dropout=0.0)
    made = factory.build("optimisers", name, {})
    groups = groups_of(method, made.learning_rate, made.weight_decay)
    assert all((p.ndim > 1) == (g["weight_decay"] > 0) for g in groups for p in g["params"])
    optimiser = made.build(groups, made.learning_rate)
    losses = []
    for n in range(40):
        optimiser.zero_grad()
        losses.append(step(method, method, {"": batch_of(64, seed=n)}, Ranks(), seed=n).loss)
        optimiser.step()
    assert sum(losses[-5:]) < sum(losses[:5])


def test_the_schedule_warms_up_to_one_and_ends_at_nothing():
    values = [schedule(n / 1000, 0.05) for n in range(1001)]
    assert values[0] < 0.05
    assert max(values) == pytest.approx(1, abs=1e-3)
    assert values[-1] == pytest.approx(0, abs=1e-9)
    assert values[50:] == sorted(values[50:], reverse=True)


def test_an_order_gives_every_rank_its_part_and_every_row_once_an_epoch():
    order = Shuffled(Sampled(torch.arange(10, 33).numpy(), 5, seed=3))
    seen = [row for s in range(order.per_epoch) for row in order.at(s)]
    assert len(seen) == len(set(seen)) == 20
    assert set(seen) <= set(range(10, 33))
    for s in range(6):
        parts = [row for rank in range(2) for row in order.at(s, rank, 2)]
        assert parts == list(order.at(s))


def rows_like(z):
    keys = {"id": torch.arange(len(z)), "view": torch.zeros(len(z), dtype=torch.long)}
    return Embeddings(z, keys)


def test_health_tells_a_point_a_line_and_a_sphere_apart():
    torch.manual_seed(0)
    sphere = torch.randn(256, 32)
    point = torch.ones(256, 32) + 1e-4 * torch.randn(256, 32)
    line = torch.randn(256, 1) * torch.ones(1, 32)
    healthy = examine([(rows_like(sphere), rows_like(sphere + 0.1 * torch.randn(256, 32)))])
    assert not healthy.collapsed
    assert healthy.spread == pytest.approx(1, abs=0.05)
    assert healthy.effective_rank > 25
    assert healthy.uniformity < -3.5
    assert examine([(rows_like(point), rows_like(point))]).collapsed
    assert examine([(rows_like(line), rows_like(line))]).collapsed


def test_causes_name_what_is_wrong_first():
    usual = {
        "learning_rate": 2e-3,
        "usual_rate": 2e-3,
        "temperature": 0.1,
        "batch": 256,
        "twins": 0.0,
        "varied": 1.0,
        "gradient": 1.0,
    }
    assert "no usual cause" in likely_causes(**usual)[0]
    assert likely_causes(**usual, short=too_short(74)) == [
        "74 steps are too few to tell, 200 and more are usual: train longer, or with fewer rows per step"
    ]
    assert too_short(200) == ""
    assert "look the same" in likely_causes(**{**usual, "varied": 0.0, "learning_rate": 1.0})[0]
    assert "learning rate" in likely_causes(**{**usual, "learning_rate": 1.0})[0]
    assert "temperature" in likely_causes(**{**usual, "temperature": 100.0})[0]


def test_twins_are_counted_as_pairs():
    batch = Batch({}, {"id": torch.arange(5), "content x": torch.tensor([7, 7, 7, 1, 2])})
    assert twins_in(batch) == 3


def test_a_mean_without_anchors_is_left_out_and_all_without_is_an_error():
    some = LossTerm(torch.tensor(6.0), torch.tensor(3.0))
    none = LossTerm(torch.tensor(0.0), torch.tensor(0.0))
    loss, values = Ranks().divide({"a": 0.5 * some, "b": 0.5 * none})
    assert values == {"a": 2.0}
    assert loss == 1.0
    with pytest.raises(ValueError, match="no anchor of this batch"):
        Ranks().divide({"b": none})


def test_the_forecast_counts_what_backward_keeps_and_grows_with_the_batch():
    method = small()
    few, large = (forecast(method, {"": batch_of(n)}, None) for n in (32, 320))
    assert large.activations == pytest.approx(10 * few.activations, rel=0.2)
    assert forecast(method, {"": batch_of(320)}, 32).activations == pytest.approx(few.activations, rel=0.2)
    weights = sum(p.numel() for p in method.parameters()) * 4
    assert few.parameters == 4 * weights


def test_trying_modes_leaves_the_method_as_it_was_and_pinned_modes_are_kept():
    torch.manual_seed(0)
    method = small()
    before = {k: v.clone() for k, v in method.state_dict().items()}
    mode, seconds = choose(method, {"": batch_of()}, Plan(deterministic="off", compile="off"), 10)
    assert seconds > 0
    assert choose(method, {"": batch_of()}, Plan(), None)[1] > 0  # minutes: steps must be timed
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())
    assert all(p.grad is None for p in method.parameters())
    pinned, _ = choose(method, {"": batch_of()}, Plan(precision="bf16", channels_last="off", compile="off"), 10)
    assert pinned.bf16
    assert not mode.compiled


def test_an_experiment_builds_its_method_from_names_alone():
    experiment = Experiment(tasks=one_task("simclr", {"temperature": 0.3}))
    assert factory.build(
        "kernels", "cosine", {"temperature": experiment.tasks["contrast"].task.settings["temperature"]}
    ).log_scale.exp() == pytest.approx(1 / 0.3)


@pytest.mark.slow
def test_a_compiled_method_computes_what_the_plain_one_does():
    torch.manual_seed(0)
    plain = encoders_of({"x": ResNet(channels=3, base=4)})
    compiled = single_task(Small(), copy.deepcopy(plain))
    prepare(compiled, PrecisionMode(compiled=True))
    x = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(compiled.encoders("x", x).pooled, plain("x", x).pooled, rtol=1e-4, atol=1e-5)
    assert compiled.state_dict().keys() == single_task(Small(), plain).state_dict().keys()
    assert "compiled" in PrecisionMode(compiled=True).words


class Seeing(Encoder):
    """Notes how its views lie in memory."""

    width = 192

    def forward(self, x):
        self.last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
        return Features(x.flatten(1))


@pytest.mark.parametrize("last", [True, False])
def test_pictures_come_with_their_channels_last_in_that_mode_alone_and_with_the_same_numbers(last):
    views = {"picture": torch.randn(4, 3, 8, 8), "series": torch.randn(4, 2, 8)}
    learner = single_task(Small(), encoders_of({"picture": Seeing(), "series": Seeing()}))
    prepare(learner, PrecisionMode(channels_last=last))
    out = {field: learner.encoders(field, x).pooled for field, x in views.items()}
    assert [learner.encoders.encoder(field).last for field in views] == [last, False]
    assert all(torch.equal(out[name], x.flatten(1)) for name, x in views.items())


def test_passes_and_batch_norm_together_are_told_to_be_inexact_and_nothing_else_is():
    from kontrast.runs.pipeline.train import inexact_passes

    normed, plain = Small(), Small()
    normed.net.append(nn.BatchNorm1d(16))
    assert "1 batch norms see a pass, not the batch of 64" in inexact_passes(normed, Plan(batch=64, passes=8))
    assert not inexact_passes(normed, Plan(batch=64))
    assert not inexact_passes(normed, Plan(batch=64, passes=64))
    assert not inexact_passes(plain, Plan(batch=64, passes=8))


@pytest.mark.slow
def test_views_drawn_beside_the_step_are_those_drawn_in_it(tmp_path, monkeypatch):
    x, _ = waves(48, length=32)
    found = []
    for early in (True, False):
        monkeypatch.setattr("kontrast.training.loop.spare_core", lambda fleet, early=early: early)
        run = kt.train({"wave": x}, steps=7, settings={**FAST, "plan.batch": 16}, seed=3, out=tmp_path / str(early))
        found.append(load_file(run.path / "encoder" / "model.safetensors"))
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_core_is_spare_where_the_step_has_fewer_threads_than_there_are_cores(monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(threads + 1), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: threads + 1)
    with alone(torch.device("cpu")) as fleet:
        assert spare_core(fleet)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(threads), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: threads)
    with alone(torch.device("cpu")) as fleet:
        assert not spare_core(fleet)
