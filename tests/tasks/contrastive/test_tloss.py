"""T-Loss: parts of series where they should lie, negatives of other rows, and the loss of the paper and its authors."""

import json
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
from kontrast.tasks.contrastive.tloss import TLoss
from kontrast.training.step import step
from tests.support.learners import learner_of

pytestmark = pytest.mark.quick

LENGTHS = [9, 16, 5, 1, 16, 2, 12, 7]


class Ends(Encoder):
    """Gives the first and the last known value of a row, and the number of known ones."""

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
    """Rows whose value says sample and instant: 100 n + t, for n from 1."""
    n, t = 1 + torch.arange(len(lengths)), torch.arange(max(lengths))
    x = (100.0 * n[:, None] + t)[:, None].clone()
    x[(t >= torch.tensor(lengths)[:, None])[:, None]] = math.nan
    return Batch({f"{MAIN}/x": View("x", x)}, {"id": n * 7919 % 104_729, "has x": n > 0, "content x": n})


def parts(learner, number):
    """First and last instant, and length, of the parts of each row in a step."""
    learner.begin(Clock(number, 0.0))
    out = learner(*containers.flattened({"": series()}))[MAIN]
    return {name: one.z.detach() for name, one in out.items()}


def looking():
    """A learner that gives its encoder's features."""
    torch.manual_seed(0)
    learner = learner_of(TLoss, {"x": Ends()}, width=3)
    with torch.no_grad():
        [linear] = [m for m in learner.served.head.modules() if isinstance(m, torch.nn.Linear)]
        linear.weight.copy_(torch.eye(3))
        linear.bias.zero_()
    return learner


def test_a_positive_is_a_part_of_its_reference_which_is_a_part_of_its_row():
    learner, seen = looking(), []
    n, long = 100.0 * (1 + torch.arange(8)), torch.tensor(LENGTHS)
    for number in range(40):
        made = parts(learner, number)
        (first, last, width), (low, high, wide), (begin, end, negative) = (made[name].T for name in made)
        assert ((n <= first) & (first <= low) & (high <= last) & (last < n + long)).all()
        assert ((n <= begin) & (end < n + long)).all()
        for lo, hi, found in ((first, last, width), (low, high, wide), (begin, end, negative)):
            assert torch.equal(hi - lo + 1, found)  # whole, without a gap
        assert [part.tolist() for part in learner.served.lengths(long)] == [t.tolist() for t in (width, wide, negative)]
        seen.append(torch.stack([width, wide, negative, first - n], 1)[4])
    shares = torch.stack(seen).mean(0)
    assert shares[1].item() == pytest.approx(8.5, abs=2)  # uniform from 1 to 16, and above it up to 16
    assert shares[0].item() == pytest.approx(12.25, abs=2)
    assert shares[2].item() == pytest.approx(8.5, abs=2)
    assert len({tuple(row.tolist()) for row in seen}) > 30


def embeddings(n=7, width=4):
    """Embeddings of n rows of which the third and the sixth are duplicates, float64."""
    g = torch.Generator().manual_seed(1)
    ids = torch.tensor([41, 7, 99, 3, 65, 12, 58])[:n]
    content = torch.arange(n).where(torch.arange(n) != 5, 2)
    keys = {"id": ids, "view": torch.zeros_like(ids), "has x": ids > 0, "content x": content}
    z = torch.randn(3, n, width, generator=g, dtype=torch.float64)
    return {name: Embeddings(one, keys) for name, one in zip(("reference", "positive", "negative"), z, strict=True)}


@pytest.mark.parametrize(("weight", "each"), [(None, 0.2), (1.0, 1.0), (0.0, 0.0)])
def test_the_loss_is_that_of_a_slow_loop_over_the_formula(weight, each):
    task = TLoss(EncoderInfo({"x": 4}), negatives=5, negative_weight=weight, width=4)
    task.begin(Clock(3, 0.0))
    out = embeddings()
    ids = out["reference"].keys["id"]
    chosen, total, met = task.chosen(ids, ids).tolist(), 0.0, 0
    for i, (z, positive) in enumerate(zip(out["reference"].z, out["positive"].z, strict=True)):
        total -= math.log(1 / (1 + math.exp(-float(z @ positive))))
        for k in chosen[i]:
            assert k != i
            if {i, k} != {2, 5}:
                total -= each * math.log(1 / (1 + math.exp(float(z @ out["negative"].z[k]))))
                met += 1
    term = task.compute_loss(out, Ranks())["contrast"]
    assert term.value().item() == pytest.approx(total / 7, rel=1e-12)
    assert (int(term.count), int(term.negatives)) == (7, met)
    assert 20 < met <= 35
    assert float(term.chance) == pytest.approx(math.log(2) * (7 + each * met))


def test_other_rows_are_chosen_alike_and_independently_of_their_order():
    task, ids = TLoss(EncoderInfo({"x": 4}), negatives=6000), torch.tensor([41, 7, 99, 3])
    order = torch.tensor([2, 0, 3, 1])
    chosen = task.chosen(ids, ids)
    assert torch.equal(ids[chosen], ids[order][task.chosen(ids, ids[order])])
    for i, row in enumerate(chosen):
        share = row.bincount(minlength=4) / len(row)
        assert share[i] == 0
        assert share[torch.arange(4) != i].tolist() == pytest.approx([1 / 3] * 3, abs=0.03)


def test_the_default_gives_the_value_of_the_authors_code():
    z = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4)
    ids = torch.arange(3)
    keys = {"id": ids, "view": ids * 0, "has x": ids >= 0, "content x": ids}
    negative = torch.tensor([0.3, -0.2, 0.1, 0.7], dtype=torch.float64).expand(3, 4)  # the same for all: no choice
    made = {"reference": z, "positive": z.flip(0) * 0.5 + 0.25, "negative": negative}
    term = TLoss(EncoderInfo({"x": 4})).compute_loss({n: Embeddings(x, keys) for n, x in made.items()}, Ranks())
    assert term["contrast"].value().item() == pytest.approx(1.9143598686364434, rel=1e-12)


def test_rows_without_the_field_and_a_row_alone_give_what_they_can():
    torch.manual_seed(0)
    learner, batch = learner_of(TLoss, {"x": DilatedCNN(hidden=8, out=6, depth=3, dropout=0.0)}), series()
    here = torch.arange(8) % 3 != 1
    learner.begin(Clock(5, 0.0))
    lacking = Batch(batch.views, {**batch.keys, "has x": here})
    alone = Batch({n: v[here] for n, v in batch.views.items()}, {n: k[here] for n, k in batch.keys.items()})
    losses = [step(learner, learner, {"": one}, Ranks(), seed=0) for one in (lacking, alone)]
    assert losses[0].loss == pytest.approx(losses[1].loss, rel=1e-5)
    assert losses[0].anchors == 5
    single = step(learner, learner, {"": batch[1:2]}, Ranks(), seed=0)
    assert single.negatives == 0
    assert math.isfinite(single.loss)


def test_the_next_step_draws_anew_and_a_resumed_run_goes_on():
    first, resumed = looking(), learner_of(TLoss, {"x": Ends()}, width=3)
    resumed.load_state_dict(first.state_dict())
    one, two, again = parts(first, 1), parts(first, 2), parts(resumed, 2)
    assert not torch.equal(one["reference"], two["reference"])
    assert all(torch.equal(two[name], again[name]) for name in two)


def test_what_it_cannot_do_is_said_in_words():
    with pytest.raises(UserError, match="contrasts parts of series; found 'photo', a field of image"):
        TLoss(EncoderInfo({"photo": 8}, modalities={"photo": "image"}))


@pytest.mark.slow
def test_the_recipe_trains_on_series_of_several_lengths_and_embeds_them(tmp_path):
    g = torch.Generator().manual_seed(0)
    rows = {"x": [torch.randn(20 + n % 9, generator=g).cumsum(0).tolist() for n in range(48)]}
    settings = {"plan.batch": 12, "encoders.series.hidden": 8, "encoders.series.out": 6}
    run = kt.train(rows, recipe="tloss", fields={"x": "series"}, settings=settings, steps=4, out=tmp_path / "run")
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [set(json.loads(line)["terms"]) for line in lines] == [{"contrast"}] * 4
    assert torch.tensor(run.embed({"x": rows["x"][:5]}).z["x"]).isfinite().all()
