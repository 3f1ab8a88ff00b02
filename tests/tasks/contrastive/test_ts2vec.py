"""TS2Vec: crops as the authors cut them, aligned instants, the same on any number of ranks and passes, and resumed."""

import json
import math
from collections import Counter

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

import kontrast as kt
from kontrast.checks.processes import MAIN
from kontrast.core import containers
from kontrast.core.clock import Clock
from kontrast.core.errors import UserError
from kontrast.core.random_streams import share
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.dilated_cnn import DilatedCNN
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.encoders.tcn import TCN
from kontrast.losses.hierarchical import hierarchical
from kontrast.tasks.contrastive.ts2vec import TS2Vec
from kontrast.tasks.overlapping_crops import crops_of, ends
from kontrast.training.step import step
from tests.support.journeys import power_cut
from tests.support.learners import learner_of

pytestmark = pytest.mark.quick

LENGTHS = [9, 16, 5, 1, 16, 2, 12, 7]


class Same(Encoder):
    """Gives every instant as it is."""

    width = dense_width = 1

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        seen = x.nan_to_num(0.0) * self.scale
        return Features(seen.amax(-1), seen.mT, x.isfinite().any(1).flip(-1).cummax(-1).values.flip(-1))


def series(lengths=LENGTHS, channels=1, first=0, most=None):
    """Rows whose value says sample and instant: 100 n + t, for n from 1."""
    most = most or max(lengths)
    n, t = 1 + first + torch.arange(len(lengths)), torch.arange(most)
    x = (100.0 * n[:, None] + t)[:, None].expand(-1, channels, -1).clone()
    x[(t >= torch.tensor(lengths)[:, None])[:, None].expand_as(x)] = math.nan
    keys = {"id": n * 7919, "has x": n > 0, "content x": n}
    return Batch({f"{MAIN}/x": View("x", x)}, keys)


def outputs(learner, batch):
    return learner(*containers.flattened({"": batch}))[MAIN]


def test_crops_are_drawn_as_by_the_authors():
    """By all draws of a grid: the overlap has 2 to T instants, equally often, and everything lies inside the series."""
    grid = [(2 * k + 1) * (1 << 24) // 60 for k in range(30)]
    seen = Counter()
    for T in (1, 2, 7):
        for draws in ((a, b, c, d) for a in grid for b in grid[::3] for c in grid[::5] for d in grid[::5]):
            crops = crops_of(draws, T)
            assert min(crops) >= 0
            assert crops.overlap <= min(crops.left, crops.right)
            assert crops.left == crops.lead + crops.overlap
            assert crops.lead + crops.right + crops.room == T  # the rest, by which a row moves both crops
            seen[T, crops.overlap] += 1
    assert [n for T, n in sorted(seen) if T == 7] == [2, 3, 4, 5, 6, 7]
    assert len({seen[7, n] for n in range(2, 8)}) == 1
    assert [n for T, n in sorted(seen) if T < 3] == [1, 2]
    assert {share(draw, 3) for draw in grid} == {0, 1, 2}


def test_longer_series_have_no_narrower_crops_so_the_longest_of_a_batch_gives_the_shape():
    g = torch.Generator().manual_seed(0)
    for _ in range(200):
        draws = torch.randint(1 << 24, (4,), generator=g).tolist()
        many = crops_of(draws, torch.arange(1, 40))
        for part in (many.overlap, many.left, many.right):
            assert (part.diff() >= 0).all()
        assert [int(part[-1]) for part in many] == list(crops_of(draws, 39))  # of numbers as of tensors


def test_both_crops_give_the_same_instants_of_each_row_in_its_own_place():
    torch.manual_seed(3)
    learner, batch = learner_of(TS2Vec, {"x": Same()}, hide=0.0), series()
    starts, shapes = set(), set()
    for number in range(12):
        learner.begin(Clock(number, 0.0))
        left, right = outputs(learner, batch).values()
        mask = left.keys["mask"]
        assert torch.equal(mask, right.keys["mask"])
        assert torch.equal(left.z[mask], right.z[mask])
        assert mask.sum(1).tolist() == crops_of(learner.served.draws, torch.tensor(LENGTHS)).overlap.tolist()
        assert mask.any(1).all()
        values = [row[there, 0] for row, there in zip(left.z, mask, strict=True)]
        for n, (row, long) in enumerate(zip(values, LENGTHS, strict=True), 1):
            assert (row.diff() == 1).all()
            assert 100 * n <= row[0]
            assert row[-1] < 100 * n + long
        starts.add(tuple(int(row[0]) % 100 for row in values))
        shapes.add(left.z.shape[1])
    assert len(shapes) > 3
    assert any(len({row[1], row[4]}) == 2 for row in starts)  # rows of one length lie elsewhere in a step


def test_hidden_instants_differ_between_crops_and_the_end_of_a_row_stays():
    torch.manual_seed(0)
    learner, batch = learner_of(TS2Vec, {"x": Same()}, hide=0.5), series([200] * 8)
    hidden = []
    for number in range(6):
        learner.begin(Clock(number, 0.0))
        left, right = outputs(learner, batch).values()
        assert left.keys["mask"].all()
        hidden.append(((left.z == 0).double().mean().item(), (right.z == 0).double().mean().item()))
        assert not torch.equal(left.z == 0, right.z == 0)
    assert sum(map(sum, hidden)) / 12 == pytest.approx(0.5, abs=0.05)


def test_the_loss_is_the_hierarchical_one_of_the_rows_that_have_the_field():
    torch.manual_seed(0)
    learner, batch = learner_of(TS2Vec, {"x": DilatedCNN(hidden=8, out=6, depth=3, dropout=0.0)}), series()
    here = torch.arange(len(LENGTHS)) % 3 != 1
    lacking = Batch(batch.views, {**batch.keys, "has x": here})
    learner.begin(Clock(5, 0.0))
    outcome = step(learner, learner, {"": lacking}, Ranks(), seed=0)
    alone = Batch({n: v[here] for n, v in batch.views.items()}, {n: k[here] for n, k in batch.keys.items()})
    rows = step(learner, learner, {"": alone}, Ranks(), seed=0).rows[MAIN]
    terms = hierarchical(rows["left"], rows["right"])
    assert outcome.loss == pytest.approx(sum(t.weight * t.total / t.count for t in terms.values()).item(), rel=1e-5)
    assert outcome.terms.keys() == {"instance", "temporal"}
    one, two = learner.positive_pairs(outcome.rows)[0]
    assert one.z.shape == two.z.shape == (int(here.sum()), 6)
    assert one.z.isfinite().all()


def taken(ranks, passes=None):
    """Losses and weights after three steps on this rank's rows, whose series are cut to the longest of them."""
    torch.manual_seed(0)
    learner = learner_of(TS2Vec, {"x": DilatedCNN(hidden=8, out=6, depth=3, dropout=0.0)}).double()
    encode = DistributedDataParallel(learner) if ranks.world > 1 else learner
    moving = torch.optim.SGD(learner.parameters(), 1e-3)
    losses = []
    for number in range(3):
        batch = series()
        part = batch[slice(*(len(batch) * (ranks.rank + k) // ranks.world for k in (0, 1)))]
        x = part.views[f"{MAIN}/x"].data / 100
        part = Batch({f"{MAIN}/x": View("x", x[..., : int(ends(x).max())].double())}, part.keys)
        learner.begin(Clock(number, 0.0))
        moving.zero_grad()
        losses.append(step(learner, encode, {"": part}, ranks, seed=number, passes=passes).loss)
        moving.step()
    return losses, [p.detach() for p in learner.parameters()]


def test_passes_change_nothing():
    (losses, weights), found = taken(Ranks()), taken(Ranks(), passes=3)
    assert found[0] == pytest.approx(losses)
    torch.testing.assert_close(found[1], weights)


@pytest.mark.dist
def test_two_ranks_are_one_though_their_series_differ_in_length():
    losses, weights = taken(Ranks())
    for found in on_ranks(taken, 2, timeout=120):
        assert found[0] == pytest.approx(losses)
        torch.testing.assert_close(found[1], weights)


def test_crops_follow_seed_and_step_alone_so_a_resumed_run_goes_on_with_them():
    def made(seed):
        torch.manual_seed(seed)
        return learner_of(TS2Vec, {"x": Same()}, hide=0.3)

    def drawn(learner, number):
        learner.begin(Clock(number, 0.5))
        return outputs(learner, series())["left"].z

    first = made(1)
    wanted = [drawn(first, number) for number in range(4)]
    resumed = made(2)
    resumed.load_state_dict(first.state_dict())
    assert torch.equal(drawn(resumed, 3), wanted[3])
    assert torch.equal(drawn(made(1), 2), wanted[2])
    others = [drawn(made(2), number) for number in range(4)]
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(others, wanted, strict=True))


def test_what_it_cannot_do_is_said_in_words():
    with pytest.raises(UserError, match="contrasts instants of series; found 'photo', a field of image"):
        TS2Vec(EncoderInfo({"photo": 8}, {"photo": 8}, modalities={"photo": "image"}))
    for settings in ({"alpha": 1.5}, {"hide": -0.1}):
        with pytest.raises(UserError, match=next(iter(settings))):
            TS2Vec(EncoderInfo({"x": 8}, {"x": 8}), **settings)
    strided = learner_of(TS2Vec, {"x": TCN(length=16, hidden=4, out=4, stride=4)})
    with pytest.raises(UserError, match=r"gave 4 for 16 instants. Take one .* --encoder x=dilated_cnn"):
        strided.served.draws = [0, 0, 0, 0]
        outputs(strided, series())


@pytest.mark.slow
def test_the_recipe_trains_on_series_of_several_lengths_and_resumes_bit_for_bit(tmp_path, monkeypatch):
    g = torch.Generator().manual_seed(0)
    rows = {"x": [torch.randn(20 + n % 9, generator=g).cumsum(0).tolist() for n in range(48)]}
    small = {"encoders.series.hidden": 8, "encoders.series.out": 12, "encoders.series.depth": 3, "plan.batch": 12}
    how = {"recipe": "ts2vec", "fields": {"x": "series"}, "settings": {**small, "plan.checkpoint": 0}, "steps": 6}
    whole = kt.train(rows, out=tmp_path / "whole", **how)
    assert whole.embed({"x": rows["x"][:5]}).z["x"].shape == (5, 12)
    records = [json.loads(line) for line in (whole.path / "metrics.jsonl").read_text().splitlines()]
    assert [set(r["terms"]) for r in records] == [{"instance", "temporal"}] * 6
    assert records[-1]["loss"] < records[0]["loss"]
    with power_cut(monkeypatch, at=4):
        kt.train(rows, out=tmp_path / "cut", **how)
    resumed = kt.resume(tmp_path / "cut", data=rows)
    again = [json.loads(line) for line in (resumed.path / "metrics.jsonl").read_text().splitlines()]
    assert [r["loss"] for r in again] == [r["loss"] for r in records]
    one, two = (run.embed(rows).z["x"] for run in (whole, resumed))
    assert (one == two).all()
