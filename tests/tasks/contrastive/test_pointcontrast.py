"""PointContrast: the same point in both parts, the loss of a slow loop, refusals."""

import math

import pytest
import torch

from kontrast.checks.processes import MAIN
from kontrast.core import containers
from kontrast.core.clock import Clock
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.tasks.contrastive.pointcontrast import PointContrast
from kontrast.training.step import step
from tests.support.learners import learner_of

pytestmark = pytest.mark.quick


class Same(Encoder):
    """Gives the numbers of every point as they are."""

    width = dense_width = 4

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        return Features((x * self.scale).mean(2), (x * self.scale).mT)


def clouds(n=5, points=40, first=0, here=None):
    """Clouds whose fourth channel is the number of the point."""
    x = torch.randn(n, 4, points, generator=torch.Generator().manual_seed(n))
    x[:, 3] = torch.arange(points)
    ids = 7919 * (1 + first + torch.arange(n))
    keys = {"id": ids, "has x": ids > 0 if here is None else here, "content x": ids}
    return Batch({f"{MAIN}/x": View("x", x)}, keys)


def outputs(learner, batch, number=0):
    learner.begin(Clock(number, 0.0))
    return learner(*containers.flattened({"": batch}))[MAIN]


@pytest.fixture
def learner():
    torch.manual_seed(0)
    made = learner_of(PointContrast, {"x": Same()}, matches=16, width=4, rotate="z", scale=0.5)
    with torch.no_grad():
        for parameter in made.served.head.parameters():  # the head gives what the encoder gave
            parameter.copy_(torch.eye(4) if parameter.ndim == 2 else torch.zeros(4))
    return made


def test_both_parts_hold_the_same_points_in_other_places(learner):
    counts = set()
    for number in range(6):
        one, two = outputs(learner, clouds(), number).values()
        mask = one.keys["mask"]
        assert torch.equal(mask, two.keys["mask"])
        assert torch.equal(one.z[mask][:, 3], one.keys["point"][mask].float())
        assert torch.equal(two.z[mask][:, 3], one.keys["point"][mask].float())
        assert not torch.allclose(one.z[mask][:, :3], two.z[mask][:, :3])
        assert all(len(row.unique()) == len(row) for row in one.keys["point"])
        counts |= set(mask.sum(1).tolist())
    assert max(counts) == 16
    assert min(counts) >= 2 * 28 - 40  # two parts of 28 among 40 points


def test_the_loss_is_that_of_a_slow_loop(learner):
    torch.manual_seed(1)
    torch.nn.init.normal_(next(iter(learner.served.head.parameters())))
    batch = clouds()
    twin = Batch(batch.views, {**batch.keys, "content x": batch.keys["content x"].clone()})
    twin.keys["content x"][1] = twin.keys["content x"][0]  # its points are no negatives of those of its duplicate
    learner.begin(Clock(3, 0.0))
    outcome = step(learner, learner, {"": twin}, Ranks(), seed=0)
    one, two = (outcome.rows[MAIN][side] for side in ("one", "two"))
    points = [(b, m) for b, m in one.keys["mask"].nonzero().tolist()]
    losses = []
    for ours, theirs in ((one, two), (two, one)):
        for b, m in points:
            among = [(c, n) for c, n in points if c == b or {b, c} != {0, 1}]
            logits = [float(torch.cosine_similarity(ours.z[b, m].double(), theirs.z[c, n].double(), dim=0)) / 0.07
                      for c, n in among]  # fmt: skip
            losses.append(math.log(sum(map(math.exp, logits))) - logits[among.index((b, m))])
    assert outcome.loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert outcome.terms.keys() == {"from one", "from two"}
    one, two = learner.positive_pairs(outcome.rows)[0]
    assert one.z.shape == two.z.shape == (5, 4)


def test_rows_without_the_field_give_no_point(learner):
    here = torch.tensor([True, False, True, True, False])
    one, _ = outputs(learner, clouds(here=here)).values()
    assert torch.equal(one.keys["mask"].any(1), here)
    one, _ = outputs(learner, clouds(here=here & False)).values()
    assert not one.keys["mask"].any()


def test_other_fields_and_encoders_without_points_are_refused():
    with pytest.raises(UserError, match=r"found 'a', a field of series\. For other fields take --recipe densecl"):
        PointContrast(EncoderInfo({"a": 8}, dense={"a": 8}, modalities={"a": "series"}))
    with pytest.raises(UserError, match="needs a vector per point; the encoder of 'a' gives none"):
        PointContrast(EncoderInfo({"a": 8}, modalities={"a": "points"}))
