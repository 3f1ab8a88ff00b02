"""What makes embedding fast changes no row: long rows first, pieces that fit the cache, bf16 where it is asked for."""

import string

import numpy as np
import pytest
import torch

import kontrast as kt
from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment
from kontrast.core.task_choice import one_task
from kontrast.data.dataset.dataset import prepare
from kontrast.data.dataset.store import OnDemand, Packed, Writer
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.encoders import transformer
from kontrast.recipes.choosing import choose
from kontrast.runs.build import learner_of, modalities_of
from kontrast.runs.model import Model
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.slow

WORDS = list(string.ascii_lowercase)


def texts(n=60, seed=0):
    """Sentences of 1 to 40 words, short and long ones in turn, no two alike."""
    rng = np.random.default_rng(seed)
    sizes = np.where(np.arange(n) % 2, rng.integers(30, 41, n), rng.integers(1, 4, n))
    return [f"{i} " + " ".join(rng.choice(WORDS, size)) for i, size in enumerate(sizes)]


def made(data, tmp_path, tower=None, encoder=None):
    """A Model as it begins, and its rows."""
    frame = open_frame(data, cache=None)
    fields = infer(frame, {}, None)
    asked = Experiment(tasks=one_task(""), encoders={tower: encoder} if tower and encoder else {})
    experiment, _ = choose(fields, asked, None)
    modalities = modalities_of(experiment)
    rows = prepare(frame, fields, modalities, source=experiment.source, seed=0, cache=tmp_path, fit=True)
    return Model(experiment, modalities, learner_of(experiment, modalities).eval()), rows


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A small BERT with random weights and the tokenizer of a small corpus."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("bert")
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    coder = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    coder.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=coder, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(
        folder
    )
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    transformers.BertModel(transformers.BertConfig(vocab_size=len(vocabulary), **shape)).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_rows_come_back_in_the_callers_order_whatever_the_batch(tmp_path, batch):
    cells = texts()
    model, rows = made({"text": cells}, tmp_path)
    asked = np.array([5, 2, 40, 3, 59, 0])
    z = model.embed(rows, asked, batch=batch).z["text"]
    alone = np.concatenate([model.embed_cells("text", [cells[row]]) for row in asked])
    np.testing.assert_allclose(z, alone, atol=1e-6)


def test_blocks_are_hardly_padded(tmp_path):
    model, rows = made({"text": texts(200)}, tmp_path)
    cells = []
    encoder = model.learner.encoders.encoder("text")
    encoder.register_forward_pre_hook(lambda _, views: cells.append((views[0].numel(), int((views[0] >= 0).sum()))))
    model.embed(rows, batch=20)
    computed, there = np.sum(cells, axis=0)
    assert computed < 1.2 * there


def test_progress_only_ever_grows(tmp_path):
    model, rows = made({"text": texts()}, tmp_path)
    done = []
    model.embed(rows, batch=16, progress=lambda _, some, __: done.append(some))
    assert done == [16, 32, 48, 60]


def test_a_store_knows_how_long_its_rows_are(tmp_path):
    with Writer(tmp_path / "store") as writer:
        for row in (np.zeros(3), None, np.zeros(5), np.zeros(0)):
            writer.append(row)
    assert Packed(tmp_path / "store").lengths([3, 2, 0]).tolist() == [0, 5, 3]
    assert OnDemand(np.ones(4, bool), np.zeros).lengths([2, 1]).tolist() == [0, 0]


def test_a_transformer_in_pieces_is_the_transformer_in_one(bert, monkeypatch):
    encoder = factory.build("encoders", "transformer", {"model": bert, "train": "full"}).eval()
    x = torch.full((9, 12), -1)
    for row, size in enumerate([12, 1, 5, 5, 0, 12, 3, 2, 2]):
        x[row, :size] = torch.arange(2, 2 + size)
    whole = encoder.traced(x)
    wanted = torch.autograd.grad(whole.square().sum(), (weight := next(encoder.model.parameters())))
    monkeypatch.setattr(transformer, "PIECE", 12)
    shapes = []
    encoder.model.register_forward_pre_hook(
        lambda _, __, views: shapes.append(tuple(views["input_ids"].shape)), with_kwargs=True
    )
    pieces = encoder(x).pooled
    assert shapes == [(1, 12), (1, 12), (2, 5), (4, 3), (1, 1)]  # long rows first
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.autograd.grad(pieces.square().sum(), weight), wanted, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x).pooled, whole, atol=1e-5, rtol=0)


def pictures(n=24):
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("kind", "encoder"),
    [
        ("text", Choice("tokens")),
        ("text", "bert"),
        ("image", Choice("resnet")),
        ("image", Choice("timm", {"model": "test_vit"})),
        ("series", Choice("tcn")),
    ],
)
def test_bf16_is_near_float32_for_every_kind_of_encoder(kind, encoder, tmp_path, request):
    if encoder == "bert":
        encoder = Choice("transformer", {"model": request.getfixturevalue("bert"), "train": "full"})
    data = {"text": lambda: {"text": texts(24)}, "image": pictures, "series": lambda: waves(24)[0]}[kind]()
    model, rows = made(data, tmp_path, kind, encoder)
    (field,) = model.fields
    half = model.halved()
    full, short = model.embed(rows).z[field], half.embed(rows).z[field]
    assert short.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1, atol=1e-5)
    assert (full * short).sum(1).min() >= 0.999
    assert not np.array_equal(full, short)
    assert {p.dtype for p in half.learner.parameters()} >= {torch.bfloat16}
    assert {p.dtype for p in model.learner.parameters()} == {torch.float32}


def test_a_run_embeds_in_bf16_where_it_is_asked_to(tmp_path):
    run = kt.train({"text": texts()}, steps=2, out=tmp_path / "run", settings={**FAST, "plan.batch": 16})
    full, half = (run.embed({"text": texts()}, precision=how).z["text"] for how in ("32", "bf16"))
    assert (full * half).sum(1).min() >= 0.999
    assert not np.array_equal(full, half)
    with pytest.raises(UserError, match="precision='half'; expected '32' or 'bf16'"):
        run.embed({"text": texts()}, precision="half")
