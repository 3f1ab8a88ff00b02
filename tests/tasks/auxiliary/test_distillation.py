"""Distillation: losses against slow float64 loops, unknown rows, and what is served."""

import math

import pytest
import torch
from torch import nn

from kontrast.checks.processes import MAIN, doubles
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.tasks.auxiliary.distillation import Distillation
from kontrast.training.step import step
from tests.support.learners import batches_of, learner_of

WIDE, N = 5, 7
KNOWN = torch.arange(N) != 3  # the teacher does not know one row


class Net(Encoder):
    width = 4

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(6, 4)

    def forward(self, x):
        return Features(torch.tanh(self.net(x)))


def task(**settings):
    with doubles():
        return Distillation(EncoderInfo({"x": 4}), target_facts={"teacher": {"width": WIDE}}, **settings).double()


def cos(a, b):
    return float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))


def rows_of(z, taught):
    ids = torch.arange(N)
    keys = {"id": ids, "view": torch.zeros(N, dtype=torch.long), "has x": ids >= 0, "teacher": taught}
    return {"x.1": Embeddings(z, keys)}


@pytest.fixture
def taught():
    t = torch.randn(N, WIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return t * KNOWN[:, None]


def test_regression_is_two_minus_two_cosines_of_the_rows_that_the_teacher_knows(taught):
    z = torch.randn(N, WIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (term,) = task().compute_loss(rows_of(z, taught), Ranks(alone=True)).values()
    here = [n for n in range(N) if KNOWN[n]]
    assert float(term.count) == len(here)
    assert float(term.total) == pytest.approx(sum(2 - 2 * cos(z[n], taught[n]) for n in here), rel=1e-12)
    unit = nn.functional.normalize(taught[KNOWN], dim=1)
    best = unit.sum(0)
    assert float(term.chance) == pytest.approx(sum(2 - 2 * cos(best, t) for t in unit), rel=1e-12)


@pytest.mark.parametrize("temperature", [0.125, 0.75])
def test_similarity_is_the_cross_entropy_to_the_teachers_softmax_over_the_other_rows(taught, temperature):
    z = torch.randn(N, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    made = task(how="similarity", temperature=temperature, width=3)
    (term,) = made.compute_loss(rows_of(z, taught), Ranks(alone=True)).values()
    here, wanted = [n for n in range(N) if KNOWN[n]], 0.0
    for i in here:
        others = [j for j in here if j != i]
        p = [math.exp(cos(taught[i], taught[j]) / temperature) for j in others]
        q = [math.exp(cos(z[i], z[j]) / temperature) for j in others]
        wanted -= sum(a / sum(p) * math.log(b / sum(q)) for a, b in zip(p, q, strict=True))
    assert float(term.count) == len(here)
    assert float(term.total) == pytest.approx(wanted, rel=1e-9)


def test_a_student_learns_what_its_teacher_makes_of_rows():
    g = torch.Generator().manual_seed(0)
    x, keys = torch.randn(64, 6, generator=g), {"id": torch.arange(64), "has x": torch.arange(64) >= 0}
    keys |= {"content x": keys["id"], "teacher": torch.tanh(x @ torch.randn(6, WIDE, generator=g))}
    torch.manual_seed(0)
    learner = learner_of(
        lambda info, **more: Distillation(info, target_facts={"teacher": {"width": WIDE}}, **more),
        {"x": Net()},
        space="teacher",
    )
    moving, losses = torch.optim.Adam(learner.parameters(), 0.02), []
    for n in range(90):
        moving.zero_grad()
        outcome = step(learner, learner, batches_of(learner, {"x.1": x}, keys), Ranks(alone=True), seed=n)
        losses.append(outcome.loss)
        moving.step()
    assert losses[-1] < 0.2 * losses[0]
    served = learner.eval().embed("x", x)
    assert nn.functional.cosine_similarity(served, keys["teacher"]).mean() > 0.85
    assert f"tasks.{MAIN}.head" in " ".join(learner.serving_names())


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match=r"no teacher; name one .*--field COLUMN=teacher"):
        Distillation(EncoderInfo({"x": 4}), target_facts={})
    with pytest.raises(UserError, match="no teacher"):
        Distillation(EncoderInfo({"x": 4}), target_facts={"teacher": {"width": 3}}, teacher="runs/another")
    with pytest.raises(UserError, match="space='teacher' needs how='regression'"):
        task(how="similarity", space="teacher")
