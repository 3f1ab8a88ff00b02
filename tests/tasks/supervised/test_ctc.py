"""Speech recognition by CTC: the loss against a slow sum over alignments, rows without loss, spellings."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from kontrast.checks.processes import MAIN, doubles
from kontrast.checks.tiny_fields import TinySeries
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.modalities.series.series import Series
from kontrast.modalities.text.text import Text
from kontrast.tasks.supervised.ctc import CTC
from kontrast.tasks.text_targets import pieces_of
from kontrast.training.step import step
from tests.support.learners import batches_of, learner_of

RNG = np.random.default_rng(0)
TEXTS = ["ab", "aa", "a b", ["b", "another"], "abab", "ba", "a", "b"]
LENGTHS = {
    1: [3, 4, 4, 2, 4, 3, 3, 3],
    2: [2, 3, 3, 2, 3, 2, 3, 3],
}  # by predictions per instant; alone, "abab" needs 5
HAS = {"x": torch.tensor([1, 1, 1, 1, 1, 1, 0, 1]).bool(), "words": torch.tensor([1, 1, 1, 1, 1, 1, 1, 0]).bool()}


def fitted(modality, cells):
    items = [modality.read(cell, None) for cell in cells]
    modality.fit(items)
    return modality, modality.preprocess(modality.collate([modality.pack(item) for item in items]))


def recogniser(per=1):
    """A learner of the task on series, in float64, and the batch of its rows."""
    torch.manual_seed(0)
    x = torch.full((len(TEXTS), 1, max(LENGTHS[per])), torch.nan, dtype=torch.float64)
    for row, n in zip(x, LENGTHS[per], strict=True):
        row[:, :n] = torch.randn(1, n)
    words, texts = fitted(Text(), TEXTS)
    nets = {"x": TinySeries(), "words": TinySeries()}
    learner = learner_of(CTC, nets, modalities={"x": Series(), "words": words}, per=per).double()
    keys = {"id": torch.arange(len(TEXTS)), **{f"has {name}": has.clone() for name, has in HAS.items()}}
    return learner, batches_of(learner, {"x": x, "words": texts}, keys)


def spelled(task, row):
    """Classes of the text of a row, letter by letter."""
    single = [piece for token in row.tolist() if token >= 0 for piece in task.spelled[token].tolist()]
    return [piece for piece in single if piece >= 0]


def slow(logits, text):
    """Error of a text: minus the log of the summed chances of all ways to say it, each written out."""
    chances, total = logits.softmax(1).tolist(), 0.0
    for way in itertools.product(sorted({0, *text}), repeat=len(chances)):
        said = [kind for kind, _ in itertools.groupby(way) if kind != 0]
        if said == text:
            total += float(np.prod([line[kind] for line, kind in zip(chances, way, strict=True)]))
    return -np.log(total) if total else None


@pytest.mark.parametrize("per", [1, 2])
def test_the_loss_is_the_sum_over_all_alignments_and_the_same_in_passes(per):
    values = []
    for passes in (None, 3):
        learner, batches = recogniser(per=per)
        learner.served.head.weight.data.mul_(5)
        outcome = step(learner, learner, batches, Ranks(), seed=0, passes=passes)
        values.append([outcome.loss, *(p.grad for p in learner.parameters())])
    torch.testing.assert_close(values[0], values[1], rtol=1e-7, atol=1e-9)
    task, views = learner.served, {view.field: view.data for view in batches[""].views.values()}
    total, count, without = 0.0, 0, []
    for n in range(len(TEXTS)):
        text = spelled(task, views["words"][n])
        dense = learner.encoders("x", views["x"][n : n + 1, :, : LENGTHS[per][n]]).dense[0]
        found = slow(task.head(dense).unflatten(1, (per, -1)).flatten(0, 1).detach(), text)
        if found is None or not (HAS["x"][n] and HAS["words"][n]):
            without.append(n)
        else:
            total, count = total + found, count + len(text)
    assert without == ([4, 6, 7] if per == 1 else [6, 7])
    assert outcome.anchors == count
    assert outcome.loss == pytest.approx(total / count, rel=1e-9)
    assert learner.positive_pairs(outcome.rows) == []


def test_a_row_without_loss_counts_nothing_and_the_texts_have_no_gradient():
    learner, batches = recogniser()
    step(learner, learner, batches, Ranks(), seed=0)
    nets = learner.encoders.networks
    assert all(p.grad is None or not p.grad.any() for p in nets["words"].parameters())
    assert all(float(p.grad.abs().sum()) > 0 for p in nets["x"].parameters())
    out = learner([], lambda _: batches)[MAIN]["x"]
    assert out.keys["length"].tolist() == [3, 3, 4, 2, 0, 3, 0, 0]
    assert ((out.z[:, 0] != 0) == (out.keys["length"] > 0)).all()
    batches[""].keys["has x"][:] = False
    with doubles():
        assert not learner([], lambda _: batches)[MAIN]["x"].z.any()
        with pytest.raises(UserError, match=r"in a batch of 8 rows no text of 'words' fits its 'x', .* raise the set"):
            step(learner, learner, batches, Ranks(), seed=0)


def test_letters_are_said_once_until_a_blank_and_only_where_the_sound_is():
    learner, batches = recogniser()
    (words,) = (view.data for view in batches[""].views.values() if view.field == "words")
    task = learner.served
    _, a, b = spelled(task, words[0])  # after the space before each word
    task.head = nn.Identity()
    said = torch.tensor([[a, a, 0, a, b], [0, b, b, a, a], [0, 0, 0, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
    dense = nn.functional.one_hot(said, int(task.spelled.max()) + 1).double()
    found = task.caption("x", Features(torch.zeros(3, 1), dense, mask))
    letter = {kind: int(task.piece[kind - 1]) for kind in (a, b)}
    assert [[t for t in row if t >= 0] for row in found.tolist()] == [[letter[k] for k in (a, a, b)], [letter[b]], []]


def test_tokens_are_spelled_in_letters_unless_their_vocabulary_cannot():
    facts = {"vocabulary": 5, "spellings": ("a", "b", "ab", "ac", "<s>"), "special": (4,)}
    assert pieces_of(facts, split=True).tolist() == [[0, -1], [1, -1], [0, 1], [3, -1], [-1, -1]]
    assert pieces_of(facts, split=False).tolist() == [[0], [1], [2], [3], [-1]]
    pieces = {"vocabulary": 3, "spellings": ("a", "##b", "ab"), "special": ()}
    assert pieces_of(pieces, split=True).tolist() == [[0], [1], [2]]


def test_what_cannot_be_recognised_is_refused_in_a_sentence():
    kinds, facts = {"clip": "audio", "words": "text"}, {"words": {"vocabulary": 300}}
    with pytest.raises(UserError, match=r"no dense features of the field 'clip'; expected .* audio_cnn"):
        CTC(EncoderInfo({"clip": 64, "words": 32}, {"clip": None, "words": 32}, {}, kinds, facts))
    with pytest.raises(UserError, match="expected one text field to predict"):
        CTC(EncoderInfo({"clip": 64, "note": 32}, {"clip": 8, "note": 8}, {}, {"clip": "audio", "note": "audio"}, {}))
