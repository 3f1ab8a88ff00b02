"""DenseCL against a slow float64 loop and the authors' own values; which positions meet, ragged rows, absent rows."""

import json
import math

import pytest
import torch
from torch.nn.functional import normalize

import kontrast as kt
from kontrast.checks.processes import doubles
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.losses.functional import moco
from kontrast.tasks.contrastive.densecl import DenseCL
from kontrast.tasks.correspondence import chosen_places, matched
from kontrast.training.step import rows_of, step
from tests.support.learners import batches_of, learner_of

ALONE = Ranks(alone=True)
E, D, Q = 5, 4, 3
LENGTHS = (4, 1, 3, 2, 4, 3)
HERE = (True, True, True, False, True, True)


class Instants(Encoder):
    """Each instant to five numbers, by itself; an instant without a value does not exist."""

    width = dense_width = E

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(2, E)

    def forward(self, x):
        mask = x.isfinite().any(1)
        dense = torch.tanh(self.net(x.nan_to_num(0.0).mT)) * mask[..., None]
        return Features(dense.sum(1) / mask.sum(1, keepdim=True).clamp_min(1), dense, mask)


def learner(**settings):
    settings = {"samples": 8, "hidden": 7, "width": D, "positions": Q, "queue": 6, **settings}
    return learner_of(DenseCL, {"x": Instants()}, **settings)


def batches(made, ids=range(6), lengths=LENGTHS, here=HERE, seed=0):
    """Ragged series in two views; samples 4 and 5 have the same content."""
    ids, g = torch.as_tensor(ids), torch.Generator().manual_seed(seed)
    views = {}
    for name in made.served.views():
        x = torch.randn(len(ids), 2, 4, generator=g, dtype=torch.get_default_dtype())
        x[(torch.arange(4) >= torch.tensor(lengths)[:, None])[:, None].expand_as(x)] = math.nan
        views[name] = x
    keys = {"id": ids + 1000, "content x": torch.where(ids == 5, 4, ids), "has x": torch.tensor(here)}
    return batches_of(made, views, keys)


def infonce(query, own, others, temperature=0.2):
    own = float(query @ own) / temperature
    return math.log(math.exp(own) + sum(math.exp(float(query @ k) / temperature) for k in others)) - own


def slow(out, queues, share):
    """Both terms of rows and positions, by loops over rows, positions and queued keys."""
    unit = {name: normalize(rows.z[..., :D], dim=-1) for name, rows in out.items()}
    features = {name: normalize(rows.z[..., D:], dim=-1) for name, rows in out.items() if name.startswith("dense")}
    masks = {name: out[name].keys["mask"] for name in features}
    content, ids = out["x.1"].keys["content x"], out["x.1"].keys["id"]
    rows, places = [], []
    for i in range(len(ids)):
        if not out["x.1"].keys["has x"][i]:
            continue
        others = [
            [z for z, n, c in zip(q.z, *q.keys_of, strict=True) if n != ids[i] and c != content[i]] for q in queues
        ]
        rows.append(infonce(unit["x.1"][i], unit["x.2"][i], others[0]))
        for p in range(Q):
            if masks["dense x.1"][i, p] and masks["dense x.2"][i].any():
                there = [r for r in range(Q) if masks["dense x.2"][i, r]]
                best = max(there, key=lambda r: float(features["dense x.1"][i, p] @ features["dense x.2"][i, r]))
                places.append(infonce(unit["dense x.1"][i, p], unit["dense x.2"][i, best], others[1]))
    return (1 - share) * sum(rows) / len(rows), share * sum(places) / len(places), len(places)


def test_rows_and_positions_find_their_keys_among_queued_ones_of_other_samples_and_contents():
    with doubles():
        made = learner(dense=0.3)
        task = made.served
        for n, ids in enumerate(([0, 1, 6], [5, 7, 2])):  # older keys of some samples, and of a duplicate of sample 4
            filled = rows_of(made, batches(made, ids, [2, 4, 3], [True] * 3, seed=9 + n))["contrast"]
            task.begin(Clock(0, 0.0))
            task.after_update(filled, ALONE)
        out = rows_of(made, batches(made))["contrast"]
        found = task.compute_loss(out, ALONE)
        rows, places, count = slow(out, (task.queue, task.dense_queue), 0.3)
    assert found["rows"].value().item() == pytest.approx(rows, rel=1e-10)
    assert found["positions"].value().item() == pytest.approx(places, rel=1e-10)
    assert (int(found["rows"].count), int(found["positions"].count)) == (5, count)
    assert count == sum(min(n, Q) for n, here in zip(LENGTHS, HERE, strict=True) if here)


def numbers(n, what, *shape):
    i = torch.arange(math.prod(shape))
    return torch.sin(1.7 * i + 0.05 * i * i + 2.3 * what + 0.9 * n).view(*shape)


# DenseCL.forward_train of WXinlong/DenseCL at 5d1c456 without its encoders, on the same numbers: both weighted losses
# in three steps of three samples with six positions, queues of six keys.
THEIRS = [4.39276251, 1.9482386, 2.99191773, 1.85910818, 4.0684885, 1.96735576]


def test_three_steps_have_the_values_of_the_authors_code():
    values, places = [], torch.ones(3, 6, dtype=torch.bool)
    with doubles():
        task = learner(positions=6).served
        task.queue.z, task.dense_queue.z = (normalize(numbers(0, k, 6, D), dim=1) for k in (50, 51))
        for n in range(3):
            ids = torch.arange(3) + 3 * n
            keys = {"id": ids, "content x": ids, "has x": ids >= 0, "view": torch.zeros_like(ids)}
            out = {f"x.{k}": Embeddings(numbers(n, k, 3, D), {**keys, "view": keys["view"] + 64 * k}) for k in (1, 2)}
            for k in (1, 2):
                z = torch.cat([numbers(n, k + 2, 3, 6, D), numbers(n, k + 4, 3, 6, E)], 2)
                out[f"dense x.{k}"] = Embeddings(z, {**keys, "view": keys["view"] + 64 * (k + 2), "mask": places})
            found = task.compute_loss(out, ALONE)
            values += [found["rows"].value().item(), found["positions"].value().item()]
            task.after_update(out, ALONE)
    assert values == pytest.approx(THEIRS, abs=2e-8)


def test_without_its_dense_part_it_is_moco():
    with doubles():
        made = learner(dense=0.0)
        out = rows_of(made, batches(made))["contrast"]
        found, here = made.served.compute_loss(out, ALONE), torch.tensor(HERE)
        wanted = moco(out["x.1"].z[here], out["x.2"].z[here], made.served.queue.z)
    assert sum(term.value().item() for term in found.values()) == pytest.approx(wanted.item(), rel=1e-12)


def places_of(z, features, mask):
    keys = {"id": torch.arange(len(z)), "mask": mask}
    return Embeddings(torch.cat([z, features], 2), keys)


def test_positions_of_a_shuffled_view_find_themselves_again():
    z, features = torch.randn(2, 7, D), torch.randn(2, 7, E)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    queries = places_of(z, features, mask)
    keys = places_of(z[:, order], 3.0 * features[:, order] + 1e-3, mask[:, order])
    asked, given = matched(queries, keys, D)
    assert torch.equal(asked.z, given.z)
    assert asked.keys["id"].tolist() == [0] * 7 + [1] * 4


def test_no_position_meets_one_that_does_not_exist():
    features = torch.eye(E)[None].expand(3, E, E)
    queries = places_of(torch.zeros(3, E, D), features, torch.ones(3, E, dtype=torch.bool))
    keys = places_of(
        torch.arange(E).expand(3, D, E).mT.float(), features, torch.tensor([[1] * 5, [0, 1, 1, 0, 0], [0] * 5]) > 0
    )
    asked, given = matched(queries, keys, D)
    assert asked.keys["id"].tolist() == [0] * 5 + [1] * 5  # the third row's other view is empty
    assert given.z[:5, 0].tolist() == [0, 1, 2, 3, 4]
    assert set(given.z[5:, 0].tolist()) == {1, 2}


def test_places_are_spread_evenly_over_those_that_exist():
    dense = torch.arange(10.0).expand(4, 10)[..., None]
    mask = torch.stack([torch.arange(10) < 10, torch.arange(10) % 2 == 1, torch.arange(10) < 2, torch.arange(10) < 9])
    z, exists = chosen_places(Features(dense[:, 0], dense, mask), torch.tensor([True, True, True, False]), 4)
    kept = [row[there].tolist() for row, there in zip(z[..., 0], exists, strict=True)]
    assert kept == [[0, 2, 5, 7], [1, 3, 5, 7], [0, 1], []]


def test_the_dense_queue_holds_means_over_the_positions_that_exist():
    with doubles():
        made = learner(momentum=1.0)
        made.begin(Clock(0, 0.0))
        out = rows_of(made, batches(made))["contrast"]
        made.served.after_update(out, ALONE)
        here = [n for n, there in enumerate(HERE) if there]
        keys = out["dense x.2"]
        means = [keys.z[n, keys.keys["mask"][n], :D].mean(0) for n in here]
        queue = made.served.dense_queue
    assert torch.allclose(queue.z[:5], normalize(torch.stack(means), dim=1))
    assert queue.rows().keys["id"][:5].tolist() == [1000 + n for n in here]


def trained(ranks, passes=None, here=HERE):
    """Losses of three steps and the state after them."""
    with doubles():
        made, values = learner(), []
        encode = torch.nn.parallel.DistributedDataParallel(made) if ranks.world > 1 else made
        made.encoders.together = ranks.world > 1
        moving = torch.optim.SGD([p for p in made.parameters() if p.requires_grad], lr=0.1)
        for n in range(3):
            batch = batches(made, here=here, seed=n)[""]
            part = batch[slice(*(len(batch) * (ranks.rank + k) // ranks.world for k in (0, 1)))]
            made.begin(Clock(n, n / 3))
            moving.zero_grad()
            no_sync = {"no_sync": encode.no_sync} if ranks.world > 1 else {}
            outcome = step(made, encode, {"": part}, ranks, seed=n, passes=passes, **no_sync)
            moving.step()
            made.after_update(outcome.rows, ranks)
            values.append(outcome.loss)
        return values, made.state_dict()


def equal(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-10)
    for name, value in one[1].items():
        torch.testing.assert_close(other[1][name], value, rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("here", [HERE, (False, False, True, True, False, True)])
def test_passes_are_one_pass_also_if_one_of_them_has_no_row(here):
    equal(trained(ALONE, here=here), trained(ALONE, passes=2, here=here))


def last_rows(ranks):
    return trained(ranks, here=(True, True, True, False, False, False))


@pytest.mark.dist
def test_two_ranks_are_one_also_if_one_of_them_has_no_row():
    one, many = last_rows(ALONE), on_ranks(last_rows, 2)
    for found in many:
        equal(one, found)


@pytest.mark.parametrize(("width", "words"), [(None, "gives none"), (1, "gives one number")])
def test_an_encoder_without_positions_is_refused(width, words):
    info = EncoderInfo({"x": 8}, {"x": width})
    with pytest.raises(UserError, match=f"needs a vector per position; the encoder of field 'x' {words}"):
        DenseCL(info, samples=9)


def test_queues_follow_the_data_and_are_never_longer():
    info = EncoderInfo({"x": 8}, {"x": 8})
    assert [len(DenseCL(info, samples=n).dense_queue) for n in (1, 9, 100_000)] == [1, 4, 4096]
    for queue in (0, 10):
        with pytest.raises(UserError, match="at least 1 and at most as many keys as rows"):
            DenseCL(info, samples=9, queue=queue)


def rows_of_kind(kind):
    """Sixteen rows; series and texts of several lengths."""
    g = torch.Generator().manual_seed(0)
    if kind == "image":
        return torch.randint(0, 256, (16, 16, 16, 3), generator=g, dtype=torch.uint8).numpy()
    if kind == "series":
        return [torch.randn(12 + 5 * (n % 4), generator=g).numpy() for n in range(16)]
    return [" ".join(f"word{(n * k) % 11}" for k in range(2 + n % 6)) for n in range(16)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image", "series", "text"])
def test_a_run_on_a_field_of_any_kind(tmp_path, kind):
    rows = {kind: rows_of_kind(kind)}
    settings = {"plan.batch": 8, "scores": []}
    run = kt.train(
        rows, recipe="densecl", fields={kind: kind}, settings=settings, steps=3, out=tmp_path / "run", seed=0
    )
    last = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 3
    assert 0 < last["terms"]["rows"] < 20
    assert 0 < last["terms"]["positions"] < 20
