"""Steps of several tasks on shared encoders: each aggregator, what a step measures, ranks, and checkpoints."""

import copy
import json

import pytest
import torch
from torch import nn

import kontrast as kt
from kontrast.checks.processes import trace
from kontrast.core.embeddings import LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.tasks.aggregators.pcgrad import PCGrad
from kontrast.tasks.aggregators.uncertainty import Uncertainty
from kontrast.tasks.aggregators.upgrad import UPGrad
from kontrast.tasks.aggregators.weighted import Weighted
from kontrast.tasks.task import Output, Task
from kontrast.training.learner import Learner
from kontrast.training.loop import TrainState
from kontrast.training.memory import forecast
from kontrast.training.optimiser import groups_of
from kontrast.training.step import step
from kontrast.training.task_gradients import owners, refuse
from tests.support.learners import encoders_of
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.quick


class Plain(Encoder):
    """A small network, without dropout or batch norm."""

    width = 4

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))

    def forward(self, x):
        return Features(self.net(x))


class Regress(Task):
    """Predicts a key of the rows; rows with a NaN have none."""

    def __init__(self, key, fields=("x",), head=None):
        super().__init__()
        self.key, self.fields = key, fields
        self.head = nn.Linear(4 * len(fields), 1)
        if head:
            self.head.load_state_dict({k: -v for k, v in head.state_dict().items()})

    def views(self):
        return {field: ViewSpec(field) for field in self.fields}

    def forward(self, encoders, batch):
        found = encoders(batch, self.fields)
        return {"y": Output(self.head(torch.cat([f.pooled for f in found.values()], 1)), self.fields[0])}

    def compute_loss(self, out, ranks):
        wanted = out["y"].keys[self.key]
        here = wanted.isfinite()
        return {"square": LossTerm((out["y"].z[here, 0] - wanted[here]).square().sum(), here.sum())}


def learner(aggregator=None, weights=None):
    torch.manual_seed(0)
    up = Regress("up")
    tasks = {"up": up, "down": Regress("down", head=up.head), "both": Regress("both", ("x", "y"))}
    made = Learner(encoders_of({"x": Plain(), "y": Plain()}), tasks, "up", weights=weights, aggregator=aggregator)
    return made.double()


def batch(n=12, seed=0, **changed):
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, n, 6, generator=g, dtype=torch.float64)
    number = 5 + torch.randn(n, generator=g, dtype=torch.float64)
    keys = {"id": torch.arange(n), "up": number, "down": number + 1, "both": number / 2, **changed}
    return Batch({"up/x": View("x", x), "both/y": View("y", y)}, keys)


def stepped(aggregator=None, weights=None, of=None, **how):
    made = learner(aggregator, weights)
    outcome = step(made, made, {"": of or batch()}, Ranks(), seed=1, **how)
    return made, outcome, {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}


def test_encoders_of_several_tasks_are_shared_and_all_else_belongs_to_one():
    made = learner()
    shared, own = owners(made)
    assert {id(p) for p in shared} == {id(p) for p in made.encoders.networks["x"].parameters()}
    theirs = [*made.tasks["both"].parameters(), *made.encoders.networks["y"].parameters()]
    assert {id(p) for p in own["both"]} == {id(p) for p in theirs}
    assert {id(p) for p in own["up"]} == {id(p) for p in made.tasks["up"].parameters()}


def test_weighted_is_what_no_aggregator_gives():
    weights = {"up": 1.0, "down": 0.3, "both": 2.0}
    _, plain, wanted = stepped(weights=weights)
    _, outcome, found = stepped(Weighted(), weights)
    assert outcome.loss == plain.loss
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("made", [UPGrad, PCGrad])
def test_gradients_are_those_of_each_task_combined_by_the_weights(made):
    one, outcome, found = stepped(made())
    shared, rows = [f"encoders.networks.x.{name}" for name, _ in one.encoders.networks["x"].named_parameters()], []
    for task in one.tasks:
        alone = learner(weights={name: float(name == task) for name in one.tasks})
        step(alone, alone, {"": batch()}, Ranks(), seed=1)
        slopes = {name: p.grad for name, p in alone.named_parameters()}
        rows.append(torch.cat([slopes[name].flatten() for name in shared]))
        for name, slope in slopes.items():  # heads, and the encoder of one task, get the plain gradient
            if name.startswith(f"tasks.{task}.") or (task == "both" and name.startswith("encoders.networks.y.")):
                torch.testing.assert_close(found[name], slope)
    gradients = torch.stack(rows)
    update = torch.cat([found[name].flatten() for name in shared])
    weights = made().aggregate(gradients @ gradients.T, 1)
    assert weights.max() > 1.05
    torch.testing.assert_close(update, weights @ gradients)
    assert outcome.norms == pytest.approx({task: float(row.norm()) for task, row in zip(one.tasks, rows, strict=True)})
    assert outcome.cosines["up/down"] < -0.5


def test_a_measured_step_is_the_same_step_with_each_tasks_gradient():
    for aggregator in (None, Weighted()):
        _, plain, wanted = stepped(aggregator)
        _, measured, found = stepped(aggregator, measure=True)
        assert not plain.norms
        assert not plain.cosines
        assert all(torch.equal(found[name], slope) for name, slope in wanted.items())
        assert measured.norms == pytest.approx(stepped(PCGrad())[1].norms)
        assert set(measured.cosines) == {"up/down", "up/both", "down/both"}
    assert not stepped(measure=True, passes=4)[1].norms


@pytest.mark.parametrize("made", [Weighted, UPGrad, lambda: Uncertainty(["up", "down", "both"], {})])
def test_a_task_without_an_anchor_is_skipped(made):
    nothing = batch(down=torch.full((12,), torch.nan, dtype=torch.float64))
    one, outcome, found = stepped(made(), of=nothing)
    assert outcome.skipped == ("down",)
    assert not found["tasks.down.head.weight"].any()
    assert found["tasks.up.head.weight"].any()
    if one.aggregator.jacobian:
        assert set(outcome.norms) == {"up", "both"}


def test_passes_and_fsdp_are_refused_only_if_gradients_are_combined():
    refuse(learner(), passes=8, splits=True)
    refuse(learner(Weighted()), passes=8, splits=True)
    refuse(learner(PCGrad()), passes=None, splits=False)
    with pytest.raises(UserError, match=r"aggregator 'pcgrad' needs the whole gradient .* which plan.passes=8"):
        refuse(learner(PCGrad()), passes=8, splits=False)
    with pytest.raises(UserError, match="which --strategy fsdp does not give; leave that out, or take the a"):
        refuse(learner(PCGrad()), passes=None, splits=True)


def test_the_forecast_counts_a_gradient_per_task():
    made = learner(UPGrad())
    shared = sum(p.numel() * p.element_size() for p in made.encoders.networks["x"].parameters())
    found = forecast(made, {"": batch()}, None)
    assert found.tasks == 3 * shared
    assert found.words.endswith("; gradients of the tasks 2.21 kB")
    assert found.needed - forecast(made, {"": batch()}, 4).needed >= 3 * shared


def _traced(ranks, kind):
    made = {"uncertainty": lambda: Uncertainty(["up", "down", "both"], {}), "upgrad": UPGrad}[kind]()
    ragged = batch(10, 1)
    ragged.keys["down"][:5] = torch.nan  # the first rank has none
    return trace(ranks, learner(made), [batch(11), ragged, batch(6, 2)])


@pytest.mark.dist
@pytest.mark.parametrize("kind", ["uncertainty", "upgrad"])
def test_two_ranks_step_as_one(kind):
    alone = _traced(Ranks(), kind)
    for rank in on_ranks(_traced, 2, kind):
        torch.testing.assert_close(rank.values, alone.values)
        torch.testing.assert_close(rank.gradients, alone.gradients, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(rank.parameters, alone.parameters, rtol=1e-6, atol=1e-9)


def test_uncertainty_is_in_the_checkpoint_and_a_restored_run_goes_on_bit_for_bit():
    class Fixed:
        minutes = None

    def state(made):
        optimiser = torch.optim.AdamW(groups_of(made, 1e-2, 0.05), lr=1e-2)
        return TrainState(made, made, None, optimiser, Fixed, None, 6, 0, None)

    def run(course, steps):
        for k in range(course.step, course.step + steps):
            course.optimiser.zero_grad()
            step(course.learner, course.encode, {"": batch(12, k)}, Ranks(), seed=k)
            course.optimiser.step()
        course.step += steps

    fresh = lambda: state(learner(Uncertainty(["up", "down", "both"], {})))  # noqa: E731
    whole, first, second = fresh(), fresh(), fresh()
    run(whole, 6)
    run(first, 3)
    tensors, numbers = first.state()
    assert "learner.aggregator.log_variance" in tensors
    assert "optimiser.aggregator.log_variance.exp_avg" in tensors
    second.restore(copy.deepcopy(tensors), numbers)
    run(second, 3)
    wanted = whole.learner.state_dict()
    assert wanted["aggregator.log_variance"].abs().min() > 0
    assert all(torch.equal(value, wanted[name]) for name, value in second.learner.state_dict().items())


@pytest.mark.slow
def test_a_run_of_two_tasks_names_its_aggregator_tells_their_gradients_and_refuses_passes(tmp_path):
    x, kinds = waves(60, length=32)
    data = {"wave": x.astype("float32"), "kind": [f"k{k}" for k in kinds]}
    how = {"tasks": {"one": "simclr", "two": {"name": "kcl", "weight": 0.5}}, "label": "kind", "steps": 3}
    settings = {**FAST, "plan.batch": 16, "aggregator": "upgrad"}
    with pytest.raises(UserError, match=r"aggregator 'upgrad' .* plan\.passes=8"):
        kt.train(data, **how, settings={**settings, "plan.passes": 8}, out=tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    run = kt.train(data, **how, settings=settings, out=tmp_path / "run")
    assert json.loads((run.folder.path / "experiment.json").read_text())["aggregator"] == {"name": "upgrad"}
    lines = (run.folder.path / "metrics.jsonl").read_text().splitlines()
    for record in map(json.loads, lines):
        assert set(record["norms"]) == {"one", "two"}
        assert -1 <= record["cosines"]["one/two"] <= 1
