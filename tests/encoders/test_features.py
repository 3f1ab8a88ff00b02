"""Features of every encoder: dense ones are in the order of their positions, and no row depends on its batch."""

import math

import pytest
import torch

from kontrast.core import factory, registry
from tests.support.learners import encoders_of

pytestmark = pytest.mark.quick

NAN = math.nan
CASES = {
    "resnet": ("resnet", {"base": 8}, {"channels": 3, "size": 32}),
    "resnet at a size that is pooled": ("resnet", {"base": 8}, {"channels": 3, "size": 40}),
    "tcn": ("tcn", {"hidden": 8, "out": 12}, {"channels": 2, "length": 60}),
    "tcn with a stride": ("tcn", {"hidden": 8, "out": 12, "depth": 2}, {"channels": 2, "length": 300}),
    "dilated_cnn": ("dilated_cnn", {"hidden": 8, "out": 12, "depth": 2}, {"channels": 2}),
    "tcn, causal": ("tcn", {"hidden": 8, "out": 12, "causal": True}, {"channels": 2, "length": 60}),
    "tcn, causal with a stride": (
        "tcn",
        {"hidden": 8, "out": 12, "depth": 2, "causal": True},
        {"channels": 2, "length": 300},
    ),
    "dilated_cnn, causal": ("dilated_cnn", {"hidden": 8, "out": 12, "depth": 4, "causal": True}, {"channels": 2}),
    "causal_lm": ("causal_lm", {"width": 16, "heads": 2}, {"vocabulary": 50}),
    "tokens": ("tokens", {"width": 16, "buckets": 64}, {"vocabulary": 50, "spellings": tuple(map(str, range(50)))}),
    "transformer": ("transformer", {"train": "full"}, {}),
    "transformer by its first token": ("transformer", {"train": "full", "pooling": "cls"}, {}),
    "audio_cnn": ("audio_cnn", {"base": 4, "out": 12, "statistics": False}, {"mels": 16}),
    "spectrogram_transformer": ("spectrogram_transformer", {"out": 12, "depth": 1, "dropout": 0.0}, {"mels": 16}),
    "sample_cnn": ("sample_cnn", {"base": 4, "depth": 1}, {}),
    "sasrec": ("sasrec", {"width": 16}, {"vocabulary": 50, "length": 12}),
    "video_resnet": ("video_resnet", {"base": 4, "thin": 4, "hidden": 12}, {"channels": 3, "size": 16}),
    "timm, channels first": ("timm", {"model": "test_resnet"}, {"channels": 3, "size": 96}),
    "timm, channels last": ("timm", {"model": "test_mambaout"}, {"channels": 3, "size": 224}),
    "timm, tokens": ("timm", {"model": "test_vit"}, {"channels": 3, "size": 64}),
}
# Held by tests of their own: positions of a table are its columns, of a graph its nodes, of a cloud in no order; models
# of speech and ONNX are read from files.
ELSEWHERE = {"column_mlp", "ft_transformer", "onnx", "pointnet", "dgcnn", "speech_model", "gat", "gcn", "gin", "sage"}
ELSEWHERE |= {"time_frequency", "trend_season_cnn"}
# Instants of a view that a position merges.
STRIDES = {
    "tcn with a stride": 3,
    "tcn, causal with a stride": 3,
    "audio_cnn": 8,
    "spectrogram_transformer": 4,
    "sample_cnn": 9,
}
WIDE = (
    "tcn",
    "tcn with a stride",
    "dilated_cnn",
    "timm, channels last",
    "audio_cnn",
    "sample_cnn",
)  # a place changes as much by what is beside it


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> str:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("bert")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    transformers.BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(params=CASES)
def case(request):
    """An encoder in eval mode, views of four rows, and how many positions each row has; None: all."""
    name, settings, facts = CASES[request.param]
    if name == "transformer":
        settings = {**settings, "model": request.getfixturevalue("bert")}
    torch.manual_seed(0)
    encoder = factory.build("encoders", name, settings, given=facts).eval()
    lengths = torch.tensor([9, 12, 2, 5])
    if name in ("tokens", "transformer", "causal_lm", "sasrec"):
        x = torch.randint(1, 50, (4, 12))
        return encoder, torch.where(torch.arange(12) < lengths[:, None], x, -1), lengths
    if name == "video_resnet":
        return encoder, torch.randn(4, 9, 3, 16, 16), None
    if name not in ("resnet", "timm"):
        stride, sound = STRIDES.get(request.param, 1), name not in ("tcn", "dilated_cnn")
        x = torch.randn(4, *((1, facts["mels"]) if "mels" in facts else (1 if sound else 2,)), 12 * stride)
        if not sound:
            x[:, :, 0] = NAN  # a gap
        after = torch.arange(12 * stride) >= (lengths * stride).view(4, *[1] * (x.ndim - 1))
        return encoder, x.masked_fill(after, NAN), lengths
    x = torch.randn(4, facts["channels"], facts["size"], facts["size"])
    return encoder, x, None


def test_every_encoder_has_a_case():
    assert {name for name, _, _ in CASES.values()} | ELSEWHERE == set(registry.rooms()["encoders"])


@torch.no_grad()
def test_shapes_of_pooled_dense_and_mask_agree(case, request):
    encoder, x, lengths = case
    pooled, dense, mask = encoder(x)
    assert pooled.shape == (4, encoder.width)
    assert dense is not None
    assert dense.shape[::2] == (4, encoder.dense_width)
    if lengths is None:
        assert mask is None
    else:
        assert (mask.shape, mask.dtype) == (dense.shape[:2], torch.bool)
        at = torch.arange(dense.shape[1])
        if request.node.callspec.params["case"] == "causal_lm":  # a start that is not scored, and an end that is
            assert torch.equal(mask, (at >= 1) & (at <= lengths[:, None] + 1))
        else:
            assert torch.equal(mask, at < lengths[:, None])


@torch.no_grad()
def test_features_of_a_row_depend_neither_on_its_batch_nor_on_its_padding(case):
    encoder, x, lengths = case
    pooled, dense, mask = encoder(x)
    for row in range(4):
        end = x.shape[-1] if lengths is None else int(lengths[row]) * x.shape[-1] // 12
        alone = encoder(x[row : row + 1, ..., :end])
        there = slice(None) if mask is None else mask[row]
        torch.testing.assert_close(alone.pooled[0], pooled[row], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            alone.dense[0][slice(None) if mask is None else alone.mask[0]], dense[row][there], atol=1e-5, rtol=1e-4
        )


@torch.no_grad()
def test_pooled_features_are_the_same_bits_with_dense_ones_switched_off(case):
    encoder, x, _ = case
    pooled = encoder(x).pooled
    encoder.gives_dense = False
    assert torch.equal(encoder(x).pooled, pooled)


@torch.no_grad()
def test_dense_features_are_in_the_order_of_their_positions(case, request):
    """A change of the view at one position changes the dense features there the most, or close by."""
    encoder, x, lengths = case
    if request.node.callspec.params["case"] == "causal_lm":
        pytest.skip("a token changes what follows; tests/encoders/test_causal_lm.py has the slow loop")
    if encoder.causal:
        pytest.skip("an instant changes what follows; the next test has these")
    if request.node.callspec.params["case"] == "video_resnet":
        pytest.skip("positions are frames; tests/encoders/test_video_resnet.py")
    x = x[1:2]  # the row that fills the batch
    dense = encoder(x).dense[0]
    side = math.isqrt(len(dense)) if lengths is None else len(dense)
    cell = x.shape[-1] / side
    slack = int(request.node.callspec.params["case"] in WIDE)
    for position in range(len(dense)):
        places = divmod(position, side) if lengths is None else (position,)
        here = (..., *(slice(round(i * cell), round((i + 1) * cell)) for i in places))
        other = x.clone()
        other[here] = x[here] % 49 + 1 if x.dtype == torch.int64 else 3 * torch.randn_like(x[here])
        found = int((encoder(other).dense[0] - dense).norm(dim=1).argmax())
        found = divmod(found, side) if lengths is None else (found,)
        assert max(abs(i - j) for i, j in zip(found, places, strict=True)) <= slack


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name, (_, settings, _) in CASES.items() if settings.get("causal")])
@pytest.mark.parametrize("change", ["values", "a gap", "the end"])
def test_a_dense_vector_of_a_causal_encoder_sees_nothing_after_its_instants(name, change):
    kind, settings, facts = CASES[name]
    torch.manual_seed(0)
    encoder, stride = factory.build("encoders", kind, settings, given=facts).eval(), STRIDES.get(name, 1)
    x = torch.randn(2, 2, 12 * stride + 1)  # the last vector merges a single instant
    x[1, :, 1 : stride + 1] = NAN
    whole, future = (
        encoder(x).dense,
        {"values": 5 * torch.randn_like(x), "a gap": x.clone(), "the end": x * NAN}[change],
    )
    future[..., -2:-1] = NAN if change == "a gap" else future[..., -2:-1]
    for position in (0, 1, 6, 11):
        after = (position + 1) * stride
        seen = encoder(torch.cat([x[..., :after], future[..., after:]], 2))
        there = seen.mask & (torch.arange(13) <= position)
        assert there[0].sum() == position + 1
        torch.testing.assert_close(seen.dense[there], whole[there], atol=1e-6, rtol=1e-5)
        own = x.clone()
        own[0, :, position * stride : after] += 1
        assert (encoder(own).dense[0, position] - whole[0, position]).norm() > 1e-3
    assert encoder.causal


def test_dense_features_give_their_gradient_to_the_weights(case):
    encoder, x, _ = case
    dense, mask = encoder(x)[1:]
    (dense if mask is None else dense[mask]).square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())
    assert any(p.grad is not None and p.grad.any() for p in encoder.parameters())


def test_a_timm_model_whose_pooling_is_not_its_last_step_has_no_dense_features(monkeypatch):
    from timm.models.resnet import ResNet

    original = ResNet.forward_head
    monkeypatch.setattr(ResNet, "forward", lambda net, x: original(net, net.forward_features(x)) * 2)
    net = factory.build("encoders", "timm", {"model": "test_resnet"}, given={"channels": 3, "size": 32}).eval()
    assert net.dense_width is None
    pooled, dense, _ = net(torch.randn(2, 3, 32, 32))
    assert pooled.shape == (2, net.width)
    assert dense is None


def test_the_masked_mean_of_a_transformers_tokens_is_its_pooled_feature(bert):
    encoder = factory.build("encoders", "transformer", {"model": bert, "train": "frozen", "pooling": "mean"})
    x = torch.tensor([[4, 5, 6, -1], [7, 8, -1, -1]])
    pooled, dense, mask = encoder(x)
    mean = torch.stack([row[there].mean(0) for row, there in zip(dense, mask, strict=True)])
    torch.testing.assert_close(mean, pooled)


@pytest.mark.parametrize("uses", [set(), {"dense"}])
def test_dense_features_are_computed_only_if_a_task_uses_them(uses):
    encoders = encoders_of({"text": factory.build("encoders", "tokens", {"width": 16}, given={"vocabulary": 50})})
    encoders.keep_copies({*uses, "momentum"})
    x = torch.tensor([[4, 5, -1], [7, 8, 9]])
    for copies in ("networks", "momentum"):
        assert (encoders("text", x, copies).dense is not None) == bool(uses)
