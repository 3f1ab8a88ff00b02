"""Captioning: the loss against a slow loop over rows, missing and empty texts, passes, several fields, a tiny set."""

import numpy as np
import pytest
import torch

from kontrast.checks.processes import MAIN
from kontrast.checks.tiny_fields import TinyImages
from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.modalities.image.image import Image
from kontrast.modalities.series.series import Series
from kontrast.modalities.text.text import Text
from kontrast.tasks.auxiliary.captioning import Captioning
from kontrast.training.step import step
from tests.support.learners import batches_of, learner_of

RNG = np.random.default_rng(0)
N = 6
TEXTS = ["a red fox", "the lazy dog sleeps", "fox", ["two words", "or three of them"], "a red dog", "the fox and dog"]
CELLS = {
    "image": [RNG.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(N)],
    "series": [RNG.standard_normal(n) for n in (40, 23, 100, 40, 31, 64)],
    "text": [f"der {a} rote Fuchs" for a in "abcdef"],
}
KINDS = {"image": Image, "series": Series, "text": Text}
HAS = {"x": torch.tensor([1, 1, 0, 1, 1, 1]).bool(), "words": torch.tensor([1, 1, 1, 1, 0, 1]).bool()}


def keys():
    return {"id": torch.arange(N), **{f"has {name}": has.clone() for name, has in HAS.items()}}


def fitted(modality, cells):
    items = [modality.read(cell, None) for cell in cells]
    modality.fit(items)
    return modality, modality.preprocess(modality.collate([modality.pack(item) for item in items]))


def captions(kind, **settings):
    """A learner of captions of one field, and the batches of its rows."""
    torch.manual_seed(0)
    (seen, x), (words, texts) = fitted(KINDS[kind](), CELLS[kind]), fitted(Text(), TEXTS)
    modalities = {"x": seen, "words": words}
    nets = {n: factory.build("encoders", m.encoder, {}, given=m.facts()) for n, m in modalities.items()}
    made = learner_of(Captioning, nets, modalities=modalities, **{"text": "words", "width": 16, "heads": 2, **settings})
    x = x.double() if x.is_floating_point() else x
    return made.double().eval(), batches_of(made, {"x": x, "words": texts}, keys())


@torch.no_grad()
def slow(task, features, text):
    """Error of one text, a token at a time, from the features of one row."""
    seen = [task.pooled["x"](features.pooled)]
    if features.dense is not None:
        there = features.mask if features.mask is not None else torch.ones(len(features.dense), dtype=torch.bool)
        seen += [task.dense["x"](part) for part, exists in zip(features.dense, there, strict=True) if exists]
    seen = torch.stack(seen)[None]
    seen, total = seen if task.pool is None else task.pool(seen), 0.0
    decoder, text = task.decoder, [*text, task.decoder.edge]
    for n, token in enumerate(text):
        x = (decoder.tokens.weight[[decoder.edge, *text[:n]]] + decoder.places.weight[: n + 1])[None]
        for block in decoder.blocks:
            x = block(x, seen)
        logits = (decoder.tokens.weight @ decoder.norm(x[0, -1])).double()
        total += float(logits.logsumexp(0) - logits[token])
    return total


@pytest.mark.parametrize(("kind", "queries"), [("image", 0), ("series", 0), ("text", 0), ("series", 3)])
def test_the_loss_is_the_mean_over_tokens_of_rows_that_have_both_and_the_same_in_passes(kind, queries):
    values = []
    for passes in (None, 2):
        learner, batches = captions(kind, queries=queries)
        learner.served.decoder.tokens.weight.data.mul_(20)
        outcome = step(learner, learner, batches, Ranks(), seed=0, passes=passes)
        values.append([outcome.loss, *(p.grad for p in learner.parameters())])
    torch.testing.assert_close(values[0], values[1], rtol=1e-7, atol=1e-9)
    views = {view.field: view.data for view in batches[""].views.values()}
    total, count = 0.0, 0
    for n in range(N):
        if HAS["x"][n] and HAS["words"][n]:
            text = [t for t in views["words"][n].tolist() if t >= 0]
            found = learner.encoders("x", views["x"])
            total += slow(learner.served, Features(*(None if p is None else p[n] for p in found)), text)
            count += len(text) + 1
    assert outcome.anchors == count
    assert outcome.loss == pytest.approx(total / count, rel=1e-5)
    assert learner.positive_pairs(outcome.rows) == []


def test_only_the_seen_field_and_the_decoder_learn_and_what_is_served_is_among_it():
    learner, batches = captions("image")
    step(learner, learner, batches, Ranks(), seed=0)
    nets = learner.encoders.networks
    assert all(not p.grad.any() for p in nets["words"].parameters())
    assert sum(float(p.grad.abs().sum()) for p in nets["x"].parameters()) > 0
    assert learner.serving_names() == [f"encoders.{n}" for n in learner.encoders.state_dict()]


def test_special_tokens_are_left_out_and_an_empty_text_is_only_its_end():
    learner, batches = captions("image")
    task = learner.served
    task.special = [0, 7]
    (view,) = (view for view in batches[""].views.values() if view.field == "words")
    view.data[:] = -1
    view.data[0, :5] = torch.tensor([7, 9, 0, -2, 8])
    view.data[1, 0] = 0  # what a text becomes that has no token
    assert task.words(view.data)[:2, :3].tolist() == [[9, 8, -1], [-1, -1, -1]]
    out = learner([], lambda _: batches)[MAIN]["x"]
    assert out.keys["length"].tolist() == [3, 1, 0, 1, 0, 1]
    assert ((out.z[:, 0] != 0) == (out.keys["length"] > 0)).all()


def test_fields_of_one_encoder_share_what_reads_it_and_each_is_a_term():
    facts = {"en": {"vocabulary": 300}, "de": {"vocabulary": 300}}
    info = EncoderInfo(
        dict.fromkeys(("a", "b", "en", "de"), 8),
        {"a": 4, "b": 4, "en": None, "de": None},
        {"a": "image", "b": "image"},
        {"a": "image", "b": "image", "en": "text", "de": "text"},
        facts,
    )
    task = Captioning(info, text="de", width=8)
    assert list(task.pooled) == ["image", "en"]
    assert list(task.dense) == ["image"]  # the encoder of `en` has no dense features
    assert {name: spec.role for name, spec in task.views().items()} == {
        **dict.fromkeys(("a", "b", "en"), "global"),
        "de": "original",
    }
    assert task.caption("en", Features(torch.zeros(3, 8))).shape[0] == 3
    with pytest.raises(UserError, match="text='nl' is no text field"):
        Captioning(info, text="nl")
    with pytest.raises(UserError, match=r"found a \(image\).*name it with the setting text=COLUMN"):
        Captioning(info)
    with pytest.raises(UserError, match="--field COLUMN=text"):
        Captioning(info.only(["a", "b"]))
    with pytest.raises(UserError, match="heads that divide the width"):
        Captioning(info, text="de", width=10)


def test_captions_of_a_tiny_set_are_learned_and_depend_on_what_is_seen():
    torch.manual_seed(0)
    words, texts = fitted(Text(), TEXTS)
    pictures = torch.randn(N, 3, 8, 8)
    learner = learner_of(Captioning, {"x": TinyImages(), "words": TinyImages()}, modalities={"words": words}, width=32)
    batches = batches_of(learner, {"x": pictures, "words": texts}, keys())
    optimiser = torch.optim.Adam(learner.parameters(), 3e-3)
    for n in range(60):
        optimiser.zero_grad()
        loss = step(learner, learner, batches, Ranks(), seed=n).loss
        optimiser.step()
    said = learner.served.caption("x", learner.encoders("x", pictures))
    for n in (HAS["x"] & HAS["words"]).nonzero()[:, 0].tolist():
        assert words.show(said[n].numpy()) == words.show(texts[n].numpy())
    assert loss < 0.6
