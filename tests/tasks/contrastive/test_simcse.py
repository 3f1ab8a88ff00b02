"""SimCSE: the authors' loss against a slow loop, dropout as the only difference, hard negatives of all rows."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import kontrast as kt
from kontrast.checks.processes import MAIN
from kontrast.core import containers
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.given_negatives import GivenNegatives
from kontrast.tasks.contrastive.simcse import SimCSE
from kontrast.training.step import step
from tests.support.learners import learner_of

pytestmark = pytest.mark.quick

N, WIDTH = 9, 6
FIELDS = ("anchor", "positive", "negative")


class Net(Encoder):
    """Vectors of 8 to features of 6, with dropout."""

    width, dense_width = WIDTH, None

    def __init__(self, dropout=0.0):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Dropout(dropout))

    def forward(self, x):
        return Features(self.net(x))


def batch_of(fields=FIELDS, lacking=()):
    g = torch.Generator().manual_seed(1)
    ids = torch.arange(N)
    views = {f"{MAIN}/{field}": View(field, torch.randn(N, 8, generator=g, dtype=torch.float64)) for field in fields}
    keys = {
        "id": ids,
        **{f"has {f}": ~torch.isin(ids, torch.tensor(lacking)) if f == "negative" else ids >= 0 for f in fields},
    }
    return Batch(views, keys | {f"content {field}": ids for field in fields})


def twice(text="text"):
    one = batch_of((text,))
    view = one.views[f"{MAIN}/{text}"]
    return Batch({f"{MAIN}/{text}.{n}": View(text, view.data) for n in (1, 2)}, one.keys)


def learner_on(fields, dropout=0.0, **settings):
    torch.manual_seed(0)
    return learner_of(SimCSE, {"x": Net(dropout)}, dict.fromkeys(fields, "x"), **settings).double()


def slow(anchor, positive, negative, lacking=(), weight=1.0, t=0.05):
    """The cross-entropy of the authors' code, one anchor at a time."""
    losses = []
    for i in range(N):
        near = [F.cosine_similarity(anchor[i], positive[j], dim=0) / t for j in range(N)]
        hard = [
            F.cosine_similarity(anchor[i], negative[j], dim=0) / t + (math.log(weight) if i == j else 0)
            for j in range(N)
            if j not in lacking
        ]
        losses.append(torch.stack([*near, *hard]).logsumexp(0) - near[i])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("weight", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("lacking", [(), (2, 5)])
def test_it_equals_the_authors_loss_one_anchor_at_a_time(weight, lacking):
    learner = learner_on(FIELDS, hard_weight=weight)
    batch = batch_of(lacking=lacking)
    outcome = step(learner, learner, {"": batch}, Ranks(), seed=0)
    z = [learner.tasks[MAIN].heads["x"](learner.encoders("anchor", view.data).pooled) for view in batch.views.values()]
    wanted = slow(*z, lacking, weight)
    assert outcome.loss == pytest.approx(wanted.item())
    learned = [p for p in learner.parameters() if p.requires_grad]
    for p, slope in zip(learned, torch.autograd.grad(wanted, learned), strict=True):
        torch.testing.assert_close(p.grad, slope)
    held = N - len(lacking)
    assert outcome.negatives == N * (N - 1 + held) + (weight - 1) * held


def test_of_two_fields_the_second_is_the_positive_and_head_and_temperature_are_settings():
    learner, batch = learner_on(FIELDS[:2], head=False, temperature=0.1), batch_of(FIELDS[:2])
    a, p = (F.normalize(learner.encoders("anchor", v.data).pooled, dim=1) for v in batch.views.values())
    wanted = F.cross_entropy(a @ p.T / 0.1, torch.arange(N))
    assert step(learner, learner, {"": batch}, Ranks(), seed=0).loss == pytest.approx(wanted.item())
    assert not any(p.requires_grad for p in learner.tasks[MAIN].parameters())
    with pytest.raises(UserError, match="have widths 8, 4; expected one width, or head=true"):
        SimCSE(EncoderInfo({"a": 8, "b": 4}), head=False)
    with pytest.raises(UserError, match="an anchor, its positive and a hard negative; found fields a, b, c, d"):
        SimCSE(EncoderInfo(dict.fromkeys("abcd", 8)))


def test_one_field_differs_by_dropout_alone_which_a_resumed_step_repeats():
    learner = learner_on(["text"], dropout=0.2)
    first = step(learner, learner, {"": twice()}, Ranks(), seed=5)
    one, two = first.rows[MAIN].values()
    assert not torch.equal(one.z, two.z)
    again = step(learner, learner, {"": twice()}, Ranks(), seed=5)
    assert again.loss == first.loss
    passes = step(learner, learner, {"": twice()}, Ranks(), seed=5, passes=4)
    assert passes.loss != first.loss  # each pass has draws of its own
    assert step(learner, learner, {"": twice()}, Ranks(), seed=6).loss != first.loss


def test_an_encoder_without_dropout_is_refused_in_one_sentence():
    learner = learner_on(["text"], dropout=0.0)
    with pytest.raises(
        UserError, match=r"both views of 'text' are equal, .* set encoders.x.dropout above 0, or .*lora\.$"
    ):
        step(learner, learner, {"": twice()}, Ranks(), seed=0)
    learner.eval()  # a trial before the run
    assert learner(*containers.flattened({"": twice()}))[MAIN].keys() == {"text.1", "text.2"}


def trained(ranks):
    torch.set_default_dtype(torch.float64)
    learner, batch = learner_on(FIELDS, hard_weight=2.0), batch_of(lacking=(0, 1, 2, 3, 5))
    encode = DistributedDataParallel(learner) if ranks.world > 1 else learner
    part = batch[slice(*(N * (ranks.rank + k) // ranks.world for k in (0, 1)))]
    loss = step(learner, encode, {"": part}, ranks, seed=0).loss
    torch.set_default_dtype(torch.float32)
    return loss, [p.grad for p in learner.parameters() if p.requires_grad]


@pytest.mark.dist
def test_two_ranks_are_one_and_share_their_hard_negatives():
    loss, slopes = trained(Ranks())
    for found in on_ranks(trained, 2, timeout=120):  # the first rank has no hard negative of its own
        assert found[0] == pytest.approx(loss)
        torch.testing.assert_close(found[1], slopes)


def test_a_given_negative_weighs_for_its_own_anchor_alone():
    g = torch.Generator().manual_seed(0)
    a, c = torch.randn(4, 3, generator=g), torch.randn(6, 3, generator=g)
    ids, given = torch.tensor([0, 1, 2, 3, 1, 2]), torch.tensor([0, 0, 0, 0, 1, 1])
    anchors = Embeddings(a, {"id": torch.arange(4), "view": torch.zeros(4).long()})
    candidates = Embeddings(c, {"id": ids, "view": 1 + given, "given": given})
    for weight in (1.0, 3.0, 0.0):
        s = a @ c.T
        own = (ids == torch.arange(4)[:, None]) & (given == 1)
        wanted = (s + torch.where(own, weight, 1.0).log()).logsumexp(1) - s[:, :4].diagonal()
        relation = GivenNegatives("given", weight)
        found = contrast(anchors, candidates, relation, loss=InfoNCE(), kernel=Dot())
        torch.testing.assert_close(found.value(), wanted.mean().double(), check_dtype=False)
    with pytest.raises(UserError, match="weight=-1"):
        GivenNegatives("given", -1.0)


SENTENCES = [
    f"{a} {b} {c} number {n}"
    for n, (a, b, c) in enumerate(
        [("bread", "oven", "flour"), ("wheel", "brake", "road"), ("violin", "bow", "song")] * 12
    )
]


@pytest.mark.slow
def test_the_recipes_train_on_sentences_and_on_triples_of_which_some_lack_the_negative(tmp_path):
    how = {"steps": 4, "settings": {"plan.batch": 12, "encoders.text.width": 16}}
    run = kt.train({"text": SENTENCES}, recipe="simcse", fields={"text": "text"}, out=tmp_path / "one", **how)
    assert run.embed({"text": SENTENCES[:3]}).z["text"].shape == (3, 16)
    negative = [None if n % 3 == 0 else text for n, text in enumerate(reversed(SENTENCES))]
    table = {"anchor": SENTENCES, "positive": [text.upper() for text in SENTENCES], "negative": negative}
    triples = kt.train(
        table, recipe="simcse_supervised", fields=dict.fromkeys(table, "text"), out=tmp_path / "three", **how
    )
    assert triples.embed({"anchor": SENTENCES[:3]}).z["anchor"].shape == (3, 16)
    with pytest.raises(UserError, match=r"set encoders.text.dropout above 0"):
        settings = {**how["settings"], "encoders.text.dropout": 0.0}
        kt.train(
            {"text": SENTENCES},
            recipe="simcse",
            fields={"text": "text"},
            out=tmp_path / "none",
            steps=2,
            settings=settings,
        )
