"""MoCo, BYOL, SimSiam and instance discrimination: losses against slow loops, schedules, state, passes and ranks."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from kontrast.checks.processes import doubles
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.layers.rank_norm import over_ranks
from kontrast.training.step import rows_of, step
from tests.support.vectors import SAMPLES, batch_of, learner_of

pytestmark = pytest.mark.quick

SMALL = {"hidden": 7, "width": 5}
TASKS = {
    "moco v1": ("moco", {"queue": 12, "hidden": 0, "width": 5, "temperature": 0.07}),
    "moco v2": ("moco", {"queue": 12, **SMALL}),
    "moco v3": ("moco", {"queue": 0, "predictor": 7, "final_momentum": 1.0, **SMALL}),
    "byol": ("byol", SMALL),
    "dino": ("dino", {"crops": 1, "prototypes": 5, **SMALL}),
    "simsiam": ("simsiam", {"bottleneck": 3, **SMALL}),
    "simsiam, normed": ("simsiam", {"bottleneck": 3, "output_norm": True, **SMALL}),
    "instances": ("instance_discrimination", {"width": 5}),
    "instances by noise": ("instance_discrimination", {"width": 5, "noise": 9, "proximal": 2.0}),
}
# Samples of each step: uneven over ranks, some return, and 3 and 4 have the same content.
STEPS = ((0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11), (4, 0, 12), (13, 2))


def content(ids):
    return [3 if k == 4 else k for k in ids]


def of(name, **changed):
    task, settings = TASKS[name]
    return learner_of(task, {**settings, **changed})


def trained(ranks, name, *, passes=None):
    """Values, gradients and the whole state of the learner after all steps."""
    with doubles():
        learner = of(name)
        if ranks.world > 1:
            over_ranks(learner, torch.device("cpu"))
            learner.encoders.together = True
        encode = DistributedDataParallel(learner, broadcast_buffers=False) if ranks.world > 1 else learner
        if passes:  # batch norms see a pass, not the batch: a known limit of gradient caching
            for m in learner.modules():
                m.train(not isinstance(m, _BatchNorm))
        moving = torch.optim.SGD([p for p in learner.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
        values = []
        for n, ids in enumerate(STEPS):
            batch = batch_of(learner, ids, seed=n, content=content(ids))
            part = batch[slice(*(len(batch) * (ranks.rank + k) // ranks.world for k in (0, 1)))]
            learner.begin(Clock(n, n / len(STEPS)))
            moving.zero_grad()
            no_sync = encode.no_sync if ranks.world > 1 else nullcontext
            cut = passes if passes != 99 else None
            outcome = step(learner, encode, {"": part}, ranks, seed=n, passes=cut, no_sync=no_sync)
            moving.step()
            learner.after_update(outcome.rows, ranks)
            values.append(outcome.loss)
        return values, learner.state_dict()


def every(ranks):
    return {name: trained(ranks, name) for name in TASKS}


def equal(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-9, abs=1e-10)
    assert [*one[1]] == [*other[1]]
    for name, value in one[1].items():
        torch.testing.assert_close(other[1][name], value, rtol=1e-8, atol=1e-9, msg=name)


@pytest.mark.dist
def test_two_ranks_are_one_in_value_weights_copies_queue_and_memory():
    alone = every(Ranks())
    for of_rank in on_ranks(every, 2):
        for name, found in of_rank.items():
            equal(alone[name], found)


@pytest.mark.parametrize("name", TASKS)
def test_several_passes_are_one(name):
    equal(trained(Ranks(), name, passes=99), trained(Ranks(), name, passes=2))


def unit(z):
    return (z / z.norm(dim=-1, keepdim=True)).double()


def lse(terms):
    return math.log(sum(math.exp(t) for t in terms))


@pytest.fixture
def rows():
    """Everything that a task compares in one batch, with samples 3 and 4 of equal content; 9 lacks the field."""

    def made(name, **changed):
        torch.manual_seed(0)
        learner = of(name, **changed)
        ids = [0, 3, 4, 7, 9]
        batch = batch_of(learner, ids, content=content(ids), has=[True, True, True, True, False])
        return learner.served, rows_of(learner, {"": batch})["contrast"], learner

    return made


def value(terms):
    return sum(term.value().item() for term in terms.values())


def test_a_query_is_compared_with_its_key_and_queued_keys_but_no_duplicate_and_no_older_key_of_itself(rows):
    task, out, _ = rows("moco v2")
    older = {"id": torch.tensor([1003, 1004, 1011, 1000]), "content x": torch.tensor([3, 3, 11, 0])}
    fresh = torch.randn(4, 5)
    task.queue.push(Embeddings(fresh, older), Ranks())
    q, k, queue = unit(out["x.1"].z), unit(out["key x.2"].z), task.queue.z.double()
    ids, contents = out["x.1"].keys["id"].tolist(), out["x.1"].keys["content x"].tolist()
    losses = []
    for i in range(4):
        own = float(q[i] @ k[i]) / 0.2
        negatives = [
            float(q[i] @ queue[j]) / 0.2
            for j in range(12)
            if int(task.queue.keys_of[0, j]) != ids[i] and int(task.queue.keys_of[1, j]) != contents[i]
        ]
        losses.append(lse([own, *negatives]) - own)
    assert [len(task.queue), len(losses)] == [12, 4]
    found = task.compute_loss(out, Ranks())
    assert value(found) == pytest.approx(sum(losses) / 4, rel=1e-5)
    (term,) = found.values()
    assert float(term.negatives) == 11 + 10 + 10 + 12
    assert int(term.count) == 4


def test_without_a_queue_both_views_ask_among_the_keys_of_the_batch(rows):
    task, out, _ = rows("moco v3")
    total = 0.0
    for query, key in (("x.1", "key x.2"), ("x.2", "key x.1")):
        q, k = unit(out[query].z), unit(out[key].z)
        ids, contents = [t.tolist() for t in (out[query].keys["id"], out[query].keys["content x"])]
        for i in range(4):
            s = [float(q[i] @ k[j]) / 0.2 for j in range(4) if contents[j] != contents[i] or ids[i] == ids[j]]
            total += (lse(s) - float(q[i] @ k[i]) / 0.2) / 8
    assert value(task.compute_loss(out, Ranks())) == pytest.approx(total, rel=1e-5)


def test_byol_is_the_squared_distance_of_predictions_and_the_other_views_targets(rows):
    task, out, _ = rows("byol")
    pairs = (("x.1", "target x.2"), ("x.2", "target x.1"))
    total = sum(float((unit(out[p].z[i]) - unit(out[t].z[i])).square().sum()) / 8 for p, t in pairs for i in range(4))
    assert value(task.compute_loss(out, Ranks())) == pytest.approx(total, rel=1e-5)


def test_simsiam_is_the_negative_cosine_of_predictions_and_the_other_views_embeddings(rows):
    task, out, _ = rows("simsiam")
    pairs = (("prediction x.1", "x.2"), ("prediction x.2", "x.1"))
    total = -sum(float(unit(out[p].z[i]) @ unit(out[z].z[i])) / 8 for p, z in pairs for i in range(4))
    assert value(task.compute_loss(out, Ranks())) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("stop", [True, False])
def test_what_simsiam_predicts_gets_a_gradient_only_without_the_stop(stop):
    with doubles():
        learner = of("simsiam", stop_gradient=stop)
        task = learner.served
        batch = batch_of(learner, range(8))
        step(learner, learner, {"": batch}, Ranks(), seed=0)
        found = {name: p.grad.clone() for name, p in learner.named_parameters()}
        learner.zero_grad()
        z = [task.head(learner.encoders.networks["x"](view.data).pooled) for view in batch.views.values()]
        one, two = (z[1].detach(), z[0].detach()) if stop else (z[1], z[0])
        cosines = torch.nn.functional.cosine_similarity
        loss = -(cosines(task.predictor(z[0]), one).mean() + cosines(task.predictor(z[1]), two).mean()) / 2
        loss.backward()
        for name, p in learner.named_parameters():
            torch.testing.assert_close(found[name], p.grad, rtol=1e-9, atol=1e-12)
    assert bool(task.collapse_causes()) != stop


def test_an_instance_is_told_from_all_slots_of_the_memory_but_those_of_its_duplicates(rows):
    task, out, _ = rows("instances")
    task.after_update(out, Ranks())
    z, bank = unit(out["x.1"].z), task.memory.rows_of.double()
    ids, contents = [0, 3, 4, 7], [0, 3, 3, 7]
    seen = dict(zip(ids, contents, strict=True))
    losses = []
    for i in range(4):
        s = {n: float(z[i] @ bank[n]) / 0.07 for n in range(SAMPLES) if n == ids[i] or seen.get(n) != contents[i]}
        losses.append(lse(s.values()) - s[ids[i]])
    assert value(task.compute_loss(out, Ranks())) == pytest.approx(sum(losses) / 4, rel=1e-5)


def test_the_memory_moves_half_way_to_each_new_embedding_and_noise_follows_from_the_step_alone(rows):
    task, out, _ = rows("instances by noise")
    before = task.memory.rows_of.clone()
    task.after_update(out, Ranks())
    for i, n in enumerate([0, 3, 4, 7]):
        expected = unit(0.5 * before[n] + 0.5 * unit(out["x.1"].z[i]))
        torch.testing.assert_close(task.memory.rows_of[n].double(), expected, rtol=0, atol=1e-6)
    kept = [n for n in range(SAMPLES) if n not in (0, 3, 4, 7)]
    assert torch.equal(task.memory.rows_of[kept], before[kept])
    task.begin(Clock(5, 0.5))
    five = value(task.compute_loss(out, Ranks()))
    task.begin(Clock(6, 0.6))
    assert value(task.compute_loss(out, Ranks())) != five
    task.begin(Clock(5, 0.5))
    assert value(task.compute_loss(out, Ranks())) == five


@pytest.mark.parametrize(
    ("name", "starts", "ends"), [("byol", 0.99, 1.0), ("moco v2", 0.99, 0.99), ("moco v3", 0.99, 1.0)]
)
def test_encoder_and_head_copies_move_by_the_momentum_of_the_clock(name, starts, ends):
    with doubles():
        learner = of(name)
        task = learner.served
        for progress in (0.0, 0.3, 1.0):
            wanted = ends - (ends - starts) * (math.cos(math.pi * progress) + 1) / 2
            learner.begin(Clock(0, progress))
            assert task.momentum == pytest.approx(wanted, abs=1e-12)
            pairs = [(learner.encoders.momentum["x"], learner.encoders.networks["x"]), (task.copied.module, task.head)]
            with torch.no_grad():
                for p in learner.parameters():
                    p.add_(torch.randn_like(p))
            expected = [
                wanted * kept + (1 - wanted) * p
                for copied, original in pairs
                for kept, p in zip(copied.parameters(), original.parameters(), strict=True)
            ]
            batch = batch_of(learner, range(6))
            outcome = step(learner, learner, {"": batch}, Ranks(), seed=0)
            learner.after_update(outcome.rows, Ranks())
            moved = [kept for copied, _ in pairs for kept in copied.parameters()]
            for kept, want in zip(moved, expected, strict=True):
                torch.testing.assert_close(kept, want, rtol=1e-10, atol=1e-12)


def test_the_queue_holds_keys_of_the_second_view_with_the_keys_of_their_rows(rows):
    task, out, _ = rows("moco v2")
    task.after_update(out, Ranks())
    held = task.queue.rows()
    assert held.keys["id"][:4].tolist() == [1000, 1003, 1004, 1007]
    assert held.keys["content x"][:4].tolist() == [0, 3, 3, 7]
    torch.testing.assert_close(held.z[:4].double(), unit(out["key x.2"].z[:4]), rtol=0, atol=1e-6)
    assert (held.keys["id"][4:] < 0).all()  # the row without the field is not queued


def test_a_queue_follows_the_data_and_is_never_longer():
    assert len(learner_of("moco", {}).served.queue) == SAMPLES // 2
    assert len(learner_of("moco", {}, samples=100_000).served.queue) == 4096
    with pytest.raises(UserError, match="16 training rows; expected at most as many keys as rows"):
        learner_of("moco", {"queue": SAMPLES + 1})


def test_neither_copies_nor_queue_nor_memory_are_served_or_learned():
    for name in TASKS:
        learner = of(name)
        assert all(key.startswith("encoders.networks.") for key in learner.serving_names())
        still = [key for key, p in learner.named_parameters() if not p.requires_grad]
        assert still == [key for key, _ in learner.named_parameters() if "momentum" in key or "copied" in key or
                         "log_scale" in key]  # fmt: skip
