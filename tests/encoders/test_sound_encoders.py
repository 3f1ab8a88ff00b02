"""Encoders of sounds: a transformer of spectrograms, convolutions over samples, pretrained models of waveforms."""

import pytest
import torch

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.encoders.sample_cnn import SampleCNN
from kontrast.encoders.spectrogram_transformer import SpectrogramTransformer
from kontrast.encoders.speech_model import SpeechModel


def small(folder, norm):
    """A folder with a tiny wav2vec 2.0 of random weights."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(10, 3), conv_stride=(5, 2), num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, feat_extract_norm=norm, do_stable_layer_norm=norm == "layer",
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    return folder


@pytest.fixture(params=["spectrogram_transformer", "sample_cnn", "speech_model group", "speech_model layer"])
def made(request, tmp_path):
    """An encoder in eval mode, a batch, and the share of a position that padding may move."""
    torch.manual_seed(0)
    name, _, norm = request.param.partition(" ")
    if name == "spectrogram_transformer":
        return SpectrogramTransformer(mels=20, out=16, depth=1, heads=2).eval(), torch.randn(3, 1, 20, 30)
    if name == "sample_cnn":
        return SampleCNN(base=8, samples=900).eval(), torch.randn(3, 1, 900)
    return SpeechModel(model=str(small(tmp_path, norm)), train="full").eval(), torch.randn(3, 1, 900)


def padded(x, more):
    return torch.nn.functional.pad(x, (0, more), value=torch.nan)


@torch.no_grad()
def test_padding_and_neighbours_change_nothing(made):
    encoder, x = made
    found, wide = encoder(x), encoder(padded(x, 54))
    assert found.pooled.shape == (3, encoder.width)
    assert found.dense.shape[2] == encoder.dense_width
    torch.testing.assert_close(wide.pooled, found.pooled, atol=1e-4, rtol=1e-4)
    assert torch.equal(wide.mask.sum(1), found.mask.sum(1))
    n = x.shape[-1] // 2
    short = torch.cat([padded(x[:1, ..., :n], x.shape[-1] - n), x[1:]])
    mixed, alone = encoder(short), encoder(x[:1, ..., :n])
    torch.testing.assert_close(mixed.pooled[:1], alone.pooled, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mixed.pooled[1:], found.pooled[1:], atol=1e-4, rtol=1e-4)
    assert int(mixed.mask[0].sum()) == int(alone.mask.sum()) < int(mixed.mask[1].sum())


@torch.no_grad()
def test_a_row_without_anything_is_zero_and_short_ones_are_finite(made):
    encoder, x = made
    x[1] = torch.nan
    x[2, ..., 1:] = torch.nan
    pooled = encoder(x).pooled
    assert (pooled[1] == 0).all()
    assert torch.isfinite(pooled).all()
    assert torch.isfinite(encoder(x[:1, ..., :1]).pooled).all()


def test_every_part_gets_a_gradient(made):
    encoder, x = made
    encoder.train()
    encoder(x).pooled.square().sum().backward()
    without = [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    assert without in ([], ["model.masked_spec_embed"])


def test_waveforms_are_asked_of_the_modality(tmp_path):
    assert SampleCNN.wants({}) == {"input": "wave"}
    assert SpeechModel.wants({"model": str(small(tmp_path, "layer"))}) == {"input": "wave", "rate": 8000}


def test_a_speech_model_is_built_again_from_what_the_run_keeps(tmp_path):
    encoder = SpeechModel(model=str(small(tmp_path / "model", "layer")), train="lora", rank=2)
    encoder.keep(tmp_path / "kept")
    again = SpeechModel(**{"train": "lora", "rank": 2, **SpeechModel.kept(tmp_path / "kept")})
    again.load_state_dict(encoder.state_dict())
    x = torch.randn(2, 1, 500)
    torch.testing.assert_close(again.eval()(x).pooled, encoder.eval()(x).pooled)
    trained = {name for name, p in encoder.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora" in name for name in trained), trained


def test_a_model_of_texts_is_refused(tmp_path):
    from transformers import BertConfig, BertModel

    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a bert, which does not read waveforms"):
        SpeechModel(model=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "settings"),
    [("spectrogram_transformer", {"out": 10}), ("spectrogram_transformer", {"depth": 0}), ("sample_cnn", {"base": 0})],
)
def test_a_setting_out_of_range_is_refused(name, settings):
    with pytest.raises(UserError, match=f"{name}: "):
        factory.build("encoders", name, settings)
