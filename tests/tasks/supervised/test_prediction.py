"""Classification and regression: losses against slow loops, unknown targets, mixed rows, and passes."""

import math

import pytest
import torch

from kontrast.checks.processes import doubles
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.tasks.supervised.classification import Classification
from kontrast.tasks.supervised.regression import Regression
from kontrast.training.step import step
from tests.support.learners import batches_of, learner_of
from tests.support.vectors import IN, Net

pytestmark = pytest.mark.quick

INFO = EncoderInfo({"x": 4})
N, C = 7, 3
FACTS = {"label": {"classes": C}, "labels": {"classes": C}, "number": {"mean": 5.0, "std": 2.0}}


def rows(width, **keys):
    z = torch.randn(N, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    here = torch.arange(N) != 6  # the last row lacks the field
    return Embeddings(z, {"id": torch.arange(N), "has x": here, "view": torch.zeros(N, dtype=torch.int64), **keys})


def loss_of(task, found):
    (term,) = task.compute_loss({"x.1": found}, Ranks()).values()
    return term


def log_softmax(row):
    return [float(s) - math.log(sum(math.exp(t) for t in row)) for s in row]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_classes_have_the_cross_entropy_of_rows_whose_class_is_known(smoothing):
    label = torch.tensor([0, 2, -5, 1, 2, -9, 0])
    found = rows(C, label=label)
    term = loss_of(Classification(INFO, target_facts=FACTS, smoothing=smoothing), found)
    wanted = 0.0
    for n in (0, 1, 3, 4):
        logs = log_softmax(found.z[n].tolist())
        wanted -= sum(((1 - smoothing) * (c == int(label[n])) + smoothing / C) * logs[c] for c in range(C))
    assert term.total.item() == pytest.approx(wanted, rel=1e-12)
    assert (int(term.count), float(term.chance)) == (4, pytest.approx(4 * math.log(3)))
    term.total.backward()
    assert found.z.grad.any(1).tolist() == [True, True, False, True, True, False, False]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_labels_have_a_binary_cross_entropy_each_and_rows_without_any_have_none(smoothing):
    labels = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]]).float()
    found = rows(C, labels=labels)
    term = loss_of(Classification(INFO, target_facts=FACTS, target="labels", smoothing=smoothing), found)
    wanted = 0.0
    for n in (0, 2, 4, 5):
        for c in range(C):
            s, y = found.z[n, c].item(), (1 - smoothing) * float(labels[n, c]) + smoothing / 2
            wanted += (math.log1p(math.exp(s)) - y * s) / C
    assert term.total.item() == pytest.approx(wanted, rel=1e-7)
    assert int(term.count) == 4


def test_mixed_rows_learn_the_shares_of_their_classes_and_several_labels_refuse_mixing():
    soft = torch.tensor([[0.3, 0.7, 0], [0, 0, 0], [1, 0, 0], [0, 0.5, 0.5], [0, 0, 1], [0, 1, 0], [1, 0, 0]])
    found = rows(C, label=torch.zeros(N, dtype=torch.int64), soft=soft, **{"lambda": torch.ones(N)})
    term = loss_of(Classification(INFO, target_facts=FACTS), found)
    wanted = -sum(float(soft[n, c]) * log_softmax(found.z[n].tolist())[c] for n in (0, 2, 3, 4, 5) for c in range(C))
    assert term.total.item() == pytest.approx(wanted, rel=1e-6)
    unmixed = rows(C, label=torch.zeros(N, dtype=torch.int64), soft=soft)  # a column of soft labels is another target
    assert int(loss_of(Classification(INFO, target_facts=FACTS), unmixed).count) == 6
    with pytest.raises(UserError, match="cannot be mixed"):
        loss_of(Classification(INFO, target_facts=FACTS, target="labels"), found)


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_numbers_have_a_standardised_error_and_unknown_ones_none(loss):
    number = torch.tensor([1.0, math.nan, 5.0, 9.0, -30.0, math.inf, 2.0], dtype=torch.float64)
    found = rows(1, number=number)
    term = loss_of(Regression(INFO, target_facts=FACTS, loss=loss, delta=0.7), found)
    wanted = 0.0
    for n in (0, 2, 3, 4):
        r = abs(found.z[n, 0].item() - (float(number[n]) - 5) / 2)
        wanted += 0.7 * (r - 0.35) if loss == "huber" and r > 0.7 else r * r / 2
    assert term.total.item() == pytest.approx(wanted, rel=1e-12)
    assert int(term.count) == 4
    assert Regression(INFO, target_facts={"number": {"mean": 3.0, "std": 0.0}}).std == 1


@pytest.mark.parametrize(
    ("make", "more"), [(Classification, {}), (Classification, {"target": "labels"}), (Regression, {})]
)
def test_several_passes_are_one_pass(make, more):
    traces = []
    for passes in (None, 3):
        with doubles():
            learner = learner_of(make, {"x": Net()}, target_facts=FACTS, **more).double()
            x = torch.randn(N, IN, generator=torch.Generator().manual_seed(0))
            ids = torch.arange(N)
            keys = {"id": ids, "has x": ids != 2, "content x": ids, "label": ids % C, "number": ids.double()}
            keys["labels"] = (ids[:, None] % torch.arange(1, C + 1) == 0).float()
            outcome = step(learner, learner, batches_of(learner, {"x.1": x}, keys), Ranks(), seed=0, passes=passes)
        traces.append([outcome.loss, *(p.grad for p in learner.parameters())])
    torch.testing.assert_close(traces[0], traces[1], rtol=1e-9, atol=1e-12)
