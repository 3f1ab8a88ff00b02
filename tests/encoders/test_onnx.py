"""A frozen ONNX file as encoder: its numbers, ragged and fixed lengths, pictures, a run of it, and refusals."""

import copy
import json

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, save

import kontrast as kt
from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.encoders.onnx import ONNX
from kontrast.exports.exporting import export
from tests.support.graphs import KERNEL, STRIDE, convolution
from tests.support.journeys import power_cut
from tests.support.sounds import tone

NAN = torch.nan


def by_torch(file, x):
    """What the graph of `convolution` computes, (B, P, D) or (B, P, D) of a map."""
    from onnx import load, numpy_helper

    (weight,) = (numpy_helper.to_array(w) for w in load(file).graph.initializer if w.name == "weight")
    call = torch.nn.functional.conv2d if x.ndim == 4 else torch.nn.functional.conv1d
    return call(x, torch.from_numpy(weight.copy()), stride=4 if x.ndim == 4 else STRIDE).relu().flatten(2).mT


@pytest.mark.parametrize("flat", [True, False])
def test_sounds_of_any_length_have_the_features_of_the_graph_without_padding(tmp_path, flat):
    shape = ["batch", "samples"] if flat else ["batch", 1, "samples"]
    file = convolution(tmp_path / "a.onnx", shape=shape, flat=flat)
    encoder = factory.build("encoders", "onnx", {"file": file}, given={"channels": 1, "mels": 64, "samples": 400})
    x = torch.randn(4, 1, 400)
    x[1, :, 200:], x[3] = NAN, NAN
    pooled, dense, mask = encoder(x)
    whole, short = by_torch(file, x[:1]), by_torch(file, x[1:2, :, :200])
    torch.testing.assert_close(dense[0], whole[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(dense[1][mask[1]], short[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pooled[:2], torch.cat([whole.mean(1), short.mean(1)]), atol=1e-5, rtol=1e-5)
    assert mask.sum(1).tolist() == [(n - KERNEL) // STRIDE + 1 for n in (400, 200, 400)] + [0]
    assert not pooled[3].any()
    assert (encoder.width, encoder.dense_width) == (6, 6)
    encoder.gives_dense = False
    assert encoder(x).dense is None
    torch.testing.assert_close(encoder(x[1:2]).pooled, pooled[1:2])


def test_a_graph_of_a_fixed_length_hears_a_sound_part_by_part(tmp_path):
    file = convolution(tmp_path / "a.onnx", shape=[2, 1, 100], pooled=True)
    encoder = ONNX(file=file, mels=64)
    x = torch.randn(3, 1, 250)
    x[1, :, 90:] = NAN
    pooled, dense, mask = encoder(x)
    parts = [by_torch(file, part).mean(1) for part in torch.nn.functional.pad(x[:1], (0, 50)).split(100, 2)]
    torch.testing.assert_close(dense[0], torch.cat(parts), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pooled[0], torch.cat(parts).mean(0), atol=1e-5, rtol=1e-5)
    assert mask.sum(1).tolist() == [3, 1, 3]


def test_pictures_have_a_map_of_features_or_one_vector(tmp_path):
    file = convolution(tmp_path / "a.onnx", shape=["batch", 3, 12, 12])
    encoder = ONNX(file=file, channels=3, size=12)
    x = torch.randn(2, 3, 12, 12)
    pooled, dense, mask = encoder(x)
    torch.testing.assert_close(dense, by_torch(file, x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pooled, dense.mean(1))
    assert mask is None
    assert ONNX.wants({"file": file}) == {"channels": 3, "size": 12}
    mean = ONNX(file=file, channels=3, size=12, output="mean")
    torch.testing.assert_close(mean(x).pooled, pooled, atol=1e-5, rtol=1e-5)
    assert mean.dense_width is None


def test_spectrograms_have_the_bands_of_the_graph(tmp_path):
    file = convolution(tmp_path / "a.onnx", shape=["batch", 1, 20, "frames"])
    assert ONNX.wants({"file": file}) == {"channels": 1, "mels": 20}
    assert ONNX(file=file, mels=20)(torch.randn(2, 1, 20, 30)).dense.shape == (2, 5 * 7, 6)
    with pytest.raises(UserError, match=r"takes tensors of batch x 1 x 20 x frames, and the data gives 1 x 64"):
        ONNX(file=file, mels=64)


def test_nothing_learns_and_copies_share_the_session(tmp_path):
    file = convolution(tmp_path / "a.onnx", shape=["batch", 1, "samples"])
    encoder = ONNX(file=file, mels=64).train()
    assert not encoder.training
    assert not list(encoder.parameters())
    twin = copy.deepcopy(encoder)
    x = torch.randn(2, 1, 60)
    assert torch.equal(twin(x).pooled, encoder(x).pooled)
    with pytest.raises(UserError, match="needs a gradient through the encoder"):
        encoder(x.requires_grad_())
    other = ONNX(file=convolution(tmp_path / "b.onnx", shape=["batch", 1, "samples"], seed=1), mels=64)
    with pytest.raises(UserError, match=r"b\.onnx is not the file that this run was trained with"):
        other.load_state_dict(encoder.state_dict())
    twin.load_state_dict(encoder.state_dict())


def test_files_that_cannot_be_an_encoder_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="name the file"):
        ONNX.wants({})
    with pytest.raises(UserError, match=r"there is no file .*none\.onnx"):
        ONNX.wants({"file": str(tmp_path / "none.onnx")})
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    with pytest.raises(UserError, match=r"broken\.onnx cannot be run .* expected a whole ONNX file"):
        ONNX(file=str(tmp_path / "broken.onnx"))
    tokens = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "tokens"]) for n in ("ids", "out")]
    graph = helper.make_graph([helper.make_node("Identity", ["ids"], ["out"])], "g", tokens[:1], tokens[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "t.onnx")
    with pytest.raises(UserError, match=r"takes ids tensor\(int64\) of batch x tokens; expected one float tensor"):
        ONNX(file=str(tmp_path / "t.onnx"))
    file = convolution(tmp_path / "a.onnx", shape=["batch", 1, "samples"])
    with pytest.raises(UserError, match="has no output 'logits'; it has map, mean"):
        ONNX(file=file, output="logits")
    with pytest.raises(UserError, match="fails on views of 1 x 1 x 5"):
        ONNX(file=file, mels=64)(torch.randn(1, 1, 5))


@pytest.mark.slow
def test_a_run_keeps_the_file_resumes_embeds_and_exports_honestly(tmp_path, monkeypatch):
    file = convolution(tmp_path / "a.onnx", shape=["batch", 1, "samples"], width=12)
    data = {
        "clip": [(tone(n), 8000) for n in range(24)],
        "words": [["low", "middle", "high"][n % 3] + f" number {n}" for n in range(24)],
    }
    how = {
        "encoders": {"audio": {"name": "onnx", "file": file, "rate": 8000}, "text": {"name": "tokens", "width": 8}},
        "settings": {"plan.batch": 8, "plan.checkpoint": 0, "plan.monitor": 0, "tasks.contrast.width": 8},
        "seed": 0,
        "steps": 3,
    }
    whole = kt.train(data, out=tmp_path / "whole", **how)
    assert whole.experiment.names == "clip"
    with power_cut(monkeypatch, at=2):
        kt.train(data, out=tmp_path / "cut", **how)
    resumed = kt.resume(tmp_path / "cut", data=data)
    one, two = ([json.loads(x) for x in (r.path / "metrics.jsonl").read_text().splitlines()] for r in (whole, resumed))
    assert [r["loss"] for r in one] == [r["loss"] for r in two]
    before = whole.embed({"clip": data["clip"][:5]}).z["clip"]
    (tmp_path / "a.onnx").unlink()  # the run has its own
    again = kt.load(whole.path).embed({"clip": data["clip"][:5]}).z["clip"]
    np.testing.assert_array_equal(before, again)
    with pytest.raises(UserError, match="already an ONNX file"):
        export(whole, "onnx", tmp_path / "graph", settings={"field": "clip"})
    kept = whole.path / "encoder" / "audio" / "model.onnx"
    convolution(kept, shape=["batch", 1, "samples"], width=12, seed=3)
    with pytest.raises(UserError, match="is not the file that this run was trained with"):
        kt.load(whole.path).embed({"clip": data["clip"][:5]})
