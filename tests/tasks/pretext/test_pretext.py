"""Rotation and masked prediction: what is hidden, losses against slow loops, and equal results on ranks and passes."""

from collections import Counter

import numpy as np
import pytest
import torch

from kontrast.checks.processes import MAIN, doubles, same, trace
from kontrast.core import factory, random_streams, registry
from kontrast.core.clock import Clock
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.data.masking import along
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.modalities.image.image import Image
from kontrast.modalities.image.masking import over_cells
from kontrast.modalities.series.series import Series
from kontrast.modalities.text.text import Text
from kontrast.tasks.pretext.masked import Masked
from kontrast.tasks.pretext.rotation import Rotation, turned
from kontrast.training.step import step
from tests.support.learners import batches_of, learner_of

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
CELLS = {
    "image": [RNG.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(8)],
    "series": [RNG.standard_normal(n) for n in (40, 40, 23, 40, 31, 40, 40, 12)],
    "text": [f"the {n} red foxes jump over {m} lazy dogs" for n, m in zip("abcdefgh", "ponmlkji", strict=True)],
}
KINDS = {"image": Image, "series": Series, "text": Text}
N = 8


def fitted(kind):
    modality = KINDS[kind]()
    items = [modality.read(cell, None) for cell in CELLS[kind]]
    modality.fit(items)
    return modality, modality.preprocess(modality.collate([modality.pack(item) for item in items]))


def keys_of(field, here=None):
    ids = torch.arange(N) * 7919
    here = torch.ones(N, dtype=torch.bool) if here is None else here
    return {"id": ids, f"has {field}": here, f"content {field}": ids}


class Flat(Encoder):
    """Pixels to features, without batch norm."""

    width = 6

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(3 * 16, self.width)

    def forward(self, x):
        return Features(self.net(x.flatten(1)).tanh())


def test_images_are_turned_by_quarters():
    x = torch.arange(2 * 2 * 3 * 3).view(2, 2, 3, 3)
    for quarters in range(4):
        wanted = x[0].numpy()
        for _ in range(quarters):
            wanted = np.stack([np.array([[c[j][2 - i] for j in range(3)] for i in range(3)]) for c in wanted])
        assert np.array_equal(turned(x, torch.tensor([quarters, 0]))[0].numpy(), wanted)
        assert torch.equal(turned(x, torch.tensor([quarters, 0]))[1], x[1])


def test_turns_follow_from_row_and_step_and_the_loss_is_their_cross_entropy():
    torch.manual_seed(0)
    here = torch.arange(N) != 3
    learner, seen = learner_of(Rotation, {"x": Flat()}), Counter()
    x = torch.randn(N, 3, 4, 4)
    batches = batches_of(learner, {"x.1": x}, keys_of("x", here))
    for number in range(60):
        learner.begin(Clock(number, 0.0))
        outcome = step(learner, learner, batches, Ranks(), seed=number)
        (rows,) = outcome.rows[MAIN].values()
        seen.update(rows.keys["turn"].tolist())
        z = rows.z.double()
        wanted = [-float(z[n, t] - z[n].logsumexp(0)) for n, t in enumerate(rows.keys["turn"].tolist()) if here[n]]
        assert outcome.loss == pytest.approx(sum(wanted) / 7, rel=1e-5)
        assert outcome.anchors == 7
    assert set(seen) == {0, 1, 2, 3}
    assert min(seen.values()) > 0.18 * sum(seen.values())
    again = step(learner, learner, batches, Ranks(), seed=59).rows[MAIN]["x.1"]
    assert torch.equal(again.keys["turn"], rows.keys["turn"])
    learner.begin(Clock(60, 0.0))
    assert not torch.equal(
        step(learner, learner, batches, Ranks(), seed=60).rows[MAIN]["x.1"].keys["turn"], rows.keys["turn"]
    )


def test_rotation_refuses_what_has_no_turn():
    with pytest.raises(UserError, match="turns images; found 'ecg', a field of series"):
        Rotation(EncoderInfo({"ecg": 4}, modalities={"ecg": "series"}))


def rotated(ranks, passes=None):
    """The trace of two steps of rotation on this rank's rows."""
    with doubles():
        learner = learner_of(Rotation, {"x": Flat()}).double()
        learner.begin(Clock(4, 0.0))
        found = []
        for seed, n in enumerate((7, 3)):
            x = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
            keys = {name: key[:n] for name, key in keys_of("x", torch.arange(N) != 1).items()}
            found.append(Batch({f"{MAIN}/x.1": View("x", x)}, keys))
        return trace(ranks, learner, found, passes=passes)


def test_passes_of_rotation_are_one_pass():
    same(rotated(Ranks()), [rotated(Ranks(), passes=2)])


@pytest.mark.dist
def test_two_ranks_rotate_as_one():
    same(rotated(Ranks(alone=True)), on_ranks(rotated, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_parts_do_not_reach_the_encoder_and_are_what_is_wanted(kind):
    modality, x = fitted(kind)
    facts, stream = modality.facts(), random_streams.key(0, 0, torch.arange(N), 0)
    data, hidden, wanted = registry.load("modalities", kind).masking().hide(x.clone(), stream, 0.4, facts)
    assert 0.2 < hidden.double().mean() < 0.6 or kind == "text"
    if kind == "text":
        assert hidden.any(1).all()
        assert not (hidden & (x < 0)).any()
        assert torch.equal(data[~hidden], x[~hidden])
        assert torch.equal(wanted[hidden], x[hidden])
        assert (data[hidden] != x[hidden]).double().mean() > 0.9  # random tokens, which may be the same
    elif kind == "series":
        there = hidden[:, None].expand_as(x)
        assert data[there].isnan().all()
        assert torch.equal(data[~there].nan_to_num(7), x[~there].nan_to_num(7))
        assert torch.equal(wanted.mT[there], x[there])
        last = x.isfinite().any(1).int().flip(1).argmax(1)
        assert torch.equal(data.isfinite().any(1).int().flip(1).argmax(1), last)
    else:
        side = x.shape[-1] // 4
        assert (hidden.sum(1) == 6).all()
        for n in range(N):
            for p in range(16):
                at = (
                    n,
                    slice(None),
                    slice(p // 4 * side, p // 4 * side + side),
                    slice(p % 4 * side, p % 4 * side + side),
                )
                assert torch.equal(wanted[n, p], x[at].flatten())
                assert torch.equal(data[at], torch.zeros_like(x[at]) if hidden[n, p] else x[at])
    half = registry.load("modalities", kind).masking().hide(x[4:].clone(), stream[4:], 0.4, facts)
    assert torch.equal(half.hidden, hidden[4:])  # of a row alone, in any pass


def test_a_pretrained_mask_token_hides_tokens_and_special_ones_stay():
    facts = {"vocabulary": 9, "special": (1, 2, 3), "mask": 3}
    x = torch.tensor([[1, 5, 6, 7, 2], [1, 8, 2, -1, -1]])
    data, hidden, _ = registry.load("modalities", "text").masking().hide(x, torch.tensor([4, 5]), 0.99, facts)
    assert data.tolist() == [[1, 3, 3, 3, 2], [1, 3, 2, -1, -1]]
    assert hidden.sum() == 4


def test_dense_features_are_brought_to_the_positions():
    dense = torch.randn(2, 5, 3)
    assert torch.equal(along(dense, 5), dense)
    assert torch.equal(along(dense, 10), dense.repeat_interleave(2, 1))
    image = torch.randn(2, 64, 3)
    wanted = image.view(2, 4, 2, 4, 2, 3).mean((2, 4)).view(2, 16, 3)
    torch.testing.assert_close(over_cells(image, 16), wanted)
    torch.testing.assert_close(over_cells(wanted[:, :1], 16), wanted[:, :1].expand(-1, 16, -1))


@pytest.mark.parametrize("kind", KINDS)
def test_masked_prediction_has_a_loss_at_hidden_positions_alone_and_the_same_in_passes(kind):
    modality, x = fitted(kind)
    here = torch.arange(N) < 5  # a pass of three without any row of the field
    values = []
    for passes in (None, 3):
        torch.manual_seed(0)
        net = factory.build("encoders", modality.encoder, {}, given=modality.facts())
        learner = learner_of(Masked, {"x": net}, modalities={"x": modality}, hidden=16).eval()
        learner.begin(Clock(2, 0.0))
        outcome = step(
            learner, learner, batches_of(learner, {"x": x}, keys_of("x", here)), Ranks(), seed=0, passes=passes
        )
        values.append([outcome.loss, *(p.grad for p in learner.parameters())])
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=1e-5)
    rows = outcome.rows[MAIN]["x"]
    assert not rows.keys["hidden"][5:].any()
    found = learner.served.predict(rows.z).detach().double()
    losses = []
    for n, p in rows.keys["hidden"].nonzero().tolist():
        s, y = found[n, p], rows.keys["wanted"][n, p]
        losses.append(float(s.logsumexp(0) - s[y]) if kind == "text" else float((s - y).square().mean()))
    assert outcome.loss == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert outcome.anchors == len(losses)


def test_masked_prediction_refuses_encoders_without_dense_features():
    with pytest.raises(
        UserError, match="gives a vector per part; found 'x', a field of image with no features per part"
    ):
        Masked(EncoderInfo({"x": 4}, {"x": None}, modalities={"x": "image"}, facts={"x": {}}))
    with pytest.raises(UserError, match="a field of graph with 3 features"):
        Masked(EncoderInfo({"x": 4}, {"x": 3}, modalities={"x": "graph"}, facts={"x": {}}))
