"""TNC: windows where the paper has them, the loss of a slow loop over the authors' formula, rows of any length."""

import math

import pytest
import torch

import kontrast as kt
from kontrast.checks.processes import MAIN
from kontrast.core import containers
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.dilated_cnn import DilatedCNN
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.tasks.contrastive.tnc import TNC
from kontrast.training.step import step
from tests.support.learners import learner_of

pytestmark = pytest.mark.quick

LENGTHS = [90, 160, 50, 4, 160, 9, 120, 70]


class Ends(Encoder):
    """Gives the first and the last known value of a window, and the number of known ones."""

    width = 3

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        here = x[:, 0].isfinite()
        low = x[:, 0].masked_fill(~here, math.inf).amin(1)
        high = x[:, 0].masked_fill(~here, -math.inf).amax(1)
        return Features(torch.stack([low, high, here.sum(1).to(x.dtype)], 1) * self.scale)


def series(lengths=LENGTHS):
    """Rows whose value says sample and instant: 1000 n + t, for n from 1."""
    n, t = 1 + torch.arange(len(lengths)), torch.arange(max(lengths))
    x = (1000.0 * n[:, None] + t)[:, None].clone()
    x[(t >= torch.tensor(lengths)[:, None])[:, None]] = math.nan
    return Batch({f"{MAIN}/x": View("x", x)}, {"id": n * 7919 % 104_729, "has x": n > 0, "content x": n})


def looking(**settings):
    """A learner that gives its encoder's features."""
    torch.manual_seed(0)
    learner = learner_of(TNC, {"x": Ends()}, width=3, window=8, **settings)
    with torch.no_grad():
        [linear] = [m for m in learner.served.head.modules() if isinstance(m, torch.nn.Linear)]
        linear.weight.copy_(torch.eye(3))
        linear.bias.zero_()
    return learner


def made(learner, number):
    learner.begin(Clock(number, 0.0))
    return learner(*containers.flattened({"": series()}))[MAIN]


def test_near_windows_lie_around_and_distant_ones_five_neighbourhoods_away_in_the_same_row():
    learner, spread = looking(neighbourhood=1.0, pairs=40), []
    n, long = 1000.0 * (1 + torch.arange(8)), torch.tensor(LENGTHS)
    shifts = (n[:, None], n[:, None], 0)
    for number in range(12):
        out = made(learner, number)
        begin = out["window"].z[:, 0] - n
        for z in (out["window"].z[:, None], out["near"].z, out["far"].z):
            first, last, wide = (part - shift for part, shift in zip(z.detach().unbind(2), shifts, strict=True))
            assert (first >= 0).all()
            assert (last < long[:, None]).all()
            assert torch.equal(last - first + 1, wide)
            assert torch.equal(wide, long.clamp_max(8)[:, None].expand_as(wide).float())
        far, mask = out["far"].z[:, :, 0] - n[:, None], out["far"].keys["mask"]
        assert torch.equal(mask, (far - begin[:, None]).abs() >= long.clamp_max(8)[:, None])
        room = (begin - 40).clamp_min(0), (begin + 40).minimum(long - long.clamp_max(8))
        late = 2 * begin + long.clamp_max(8) > long
        assert ((far <= room[0][:, None]) | ~late[:, None]).all()
        assert ((far >= room[1][:, None]) | late[:, None]).all()
        middle = (begin > 40) & (begin < long - 48)
        spread.append((out["near"].z[:, :, 0] - n[:, None] - begin[:, None])[middle].flatten())
    assert not mask[3].any()  # 4 instants: every window is the whole row
    assert torch.cat(spread).std().item() == pytest.approx(8, rel=0.15)


def test_the_neighbourhood_is_as_wide_as_the_series_is_stationary():
    g, task = torch.Generator().manual_seed(0), TNC(EncoderInfo({"x": 4}), window=50)
    noise = torch.randn(6, 1, 400, generator=g)
    broken = noise.clone()
    broken[:, :, 260:] += 40  # a jump 60 instants after the centre: the first range, 50 to either side, has none
    x = torch.cat([noise, 5 * noise.cumsum(2), broken, noise * 0 + 3])
    reach = task.reach(x, torch.full((24,), 200)).view(4, 6)
    assert reach[0].tolist() == [3.0] * 6
    assert reach[1].tolist() == [1.0] * 6
    assert reach[2].tolist() == [2.0] * 6
    assert reach[3].tolist() == [1.0] * 6
    padded = torch.cat([x, torch.full((24, 1, 50), math.nan)], 2)
    assert torch.equal(task.reach(padded, torch.full((24,), 200)), reach.flatten())
    assert TNC(EncoderInfo({"x": 4}), neighbourhood=0.5).reach(x, torch.full((24,), 200)).unique().tolist() == [0.5]


def embeddings(n=5, pairs=3, width=4):
    g = torch.Generator().manual_seed(1)
    ids = torch.tensor([41, 7, 99, 3, 65])[:n]
    keys = {"id": ids, "view": ids * 0, "has x": torch.arange(n) != 3, "content x": ids}
    mask = torch.rand(n, pairs, generator=g) > 0.4
    mask[1] = False
    return {
        "window": Embeddings(torch.randn(n, width, generator=g).double(), keys),
        "near": Embeddings(torch.randn(n, pairs, width, generator=g).double(), keys),
        "far": Embeddings(torch.randn(n, pairs, width, generator=g).double(), {**keys, "mask": mask}),
    }


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.05, 0.4])
def test_the_loss_is_that_of_a_slow_loop_over_the_formula(weight):
    torch.manual_seed(0)
    task, out = TNC(EncoderInfo({"x": 4}), pairs=3, weight_near=weight, width=4).double().eval(), embeddings()

    def probability(one, two):
        hidden = torch.relu(task.enter.weight @ torch.cat([one, two]) + task.enter.bias)
        return 1 / (1 + math.exp(-float(task.leave.weight[0] @ hidden + task.leave.bias[0])))

    total, met = 0.0, 0
    for i in (0, 1, 2, 4):
        z, mask = out["window"].z[i], out["far"].keys["mask"][i]
        total += sum(-math.log(probability(z, near)) for near in out["near"].z[i]) / 3
        far = [probability(z, one) for one in out["far"].z[i][mask]]
        total += sum(-weight * math.log(p) - (1 - weight) * math.log(1 - p) for p in far) / max(len(far), 1)
        met += len(far)
    term = task.compute_loss(out, Ranks())["contrast"]
    assert term.value().item() == pytest.approx(total / 8, rel=1e-9)
    assert (int(term.count), int(term.negatives)) == (4, met)
    assert float(term.chance) == pytest.approx(math.log(2) * 7 / 2)  # the second row has no distant window


def test_dropout_belongs_to_the_row_and_stops_after_training():
    torch.manual_seed(0)
    task, out = TNC(EncoderInfo({"x": 4}), pairs=3, width=4).double(), embeddings()
    task.begin(Clock(1, 0.0))
    rows, order = out["window"], torch.tensor([3, 0, 4, 1, 2])
    logits = task.logits(rows, out["near"], 3)
    assert torch.equal(task.logits(rows[order], out["near"][order], 3), logits[order])
    assert not torch.equal(task.eval().logits(rows, out["near"], 3), logits)
    none = TNC(EncoderInfo({"x": 4}), pairs=3, width=4, dropout=0.0).double()
    none.load_state_dict(task.state_dict())
    assert torch.equal(none.logits(rows, out["near"], 3), task.logits(rows, out["near"], 3))


def test_rows_without_the_field_change_nothing_and_a_batch_of_short_rows_steps():
    torch.manual_seed(0)
    learner = learner_of(TNC, {"x": DilatedCNN(hidden=8, out=6, depth=2, dropout=0.0)}, window=16)
    batch, here = series(), torch.arange(8) % 3 != 1
    learner.begin(Clock(5, 0.0))
    lacking = Batch(batch.views, {**batch.keys, "has x": here})
    alone = Batch({n: v[here] for n, v in batch.views.items()}, {n: k[here] for n, k in batch.keys.items()})
    losses = [step(learner, learner, {"": one}, Ranks(), seed=0) for one in (lacking, alone)]
    assert losses[0].loss == pytest.approx(losses[1].loss, rel=1e-5)
    assert losses[0].anchors == 5
    short = step(learner, learner, {"": series([3, 1, 2])}, Ranks(), seed=0)
    assert short.negatives == 0
    assert math.isfinite(short.loss)


def test_the_next_step_draws_anew_and_a_resumed_run_goes_on():
    first, resumed = looking(), looking()
    resumed.load_state_dict(first.state_dict())
    one, two, again = made(first, 1), made(first, 2), made(resumed, 2)
    assert not torch.equal(one["near"].z, two["near"].z)
    assert all(torch.equal(two[name].z, again[name].z) for name in two)


def test_what_it_cannot_do_is_said_in_words():
    with pytest.raises(UserError, match="contrasts windows of series; found 'photo', a field of image"):
        TNC(EncoderInfo({"photo": 8}, modalities={"photo": "image"}))


@pytest.mark.slow
def test_the_recipe_trains_on_series_with_gaps_and_embeds_them(tmp_path):
    g = torch.Generator().manual_seed(0)
    rows = {"x": [torch.randn(30 + n % 9, generator=g).cumsum(0).tolist() for n in range(20)]}
    for n, row in enumerate(rows["x"]):
        row[n : n + 3] = [None] * 3
    settings = {"plan.batch": 8, "encoders.series.hidden": 4, "encoders.series.out": 4, "encoders.series.depth": 1}
    run = kt.train(rows, recipe="tnc", fields={"x": "series"}, settings=settings, steps=2, out=tmp_path / "run")
    assert torch.tensor(run.embed({"x": rows["x"][:5]}).z["x"]).isfinite().all()
