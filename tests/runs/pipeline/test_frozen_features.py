"""Features of frozen encoders are computed once: the same run, without encoding at every step."""

import signal

import numpy as np
import pytest
from safetensors.numpy import load_file

import kontrast as kt
from kontrast.core.errors import Interrupted
from kontrast.encoders.causal_lm import CausalLM
from kontrast.encoders.timm import Timm
from kontrast.runs.folder import feature_writing
from kontrast.runs.folder.folder import Folder
from tests.support.journeys import Hand
from tests.support.short_runs import Facts

pytest.importorskip("timm")

BATCH = 16
GIVEN = {
    "encoders.image": {"name": "timm", "model": "test_resnet", "freeze": True},
    "encoders.text": {"name": "tokens", "width": 16, "buckets": 64},
    "views.image.strength": "none",
    "views.image.size": 32,
    "plan.batch": BATCH,
    "plan.precision": "32",
    "plan.channels_last": "off",
    "scores": [],
}


def rows(n=70):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (n, 32, 32, 3), dtype=np.uint8)
    return {"image": images, "text": [f"picture {i % 7} of {i}" for i in range(n)]}


def run(out, steps=12, logger=None, **settings):
    given = {**GIVEN, **settings}
    return kt.train(rows(), recipe="clip", steps=steps, settings=given, out=out, logger=logger, device="cpu")


def weights(folder):
    return load_file(folder / "encoder" / "model.safetensors")


@pytest.fixture
def encoded(monkeypatch):
    """Number of rows that the frozen encoder was given, per call."""
    seen, forward = [], Timm.forward

    def counted(encoder, x):
        seen.append(len(x))
        return forward(encoder, x)

    monkeypatch.setattr(Timm, "forward", counted)
    return seen


def test_a_frozen_encoder_is_called_once_per_row_and_the_run_is_the_same(tmp_path, encoded):
    facts = Facts()
    cached, steps = run(tmp_path / "cached", logger=facts), encoded.count(BATCH)
    assert cached.experiment.plan.cache_features == "on"
    assert "image: features of " in facts.said["cache"]
    encoded.clear()
    plain = run(tmp_path / "plain", **{"plan.cache_features": "off"})
    assert encoded.count(BATCH) >= steps + 12
    assert plain.experiment.difference(cached.experiment) == ["plan.cache_features: off -> on"]
    one, two = weights(tmp_path / "cached"), weights(tmp_path / "plain")
    for name, value in one.items():
        np.testing.assert_allclose(value, two[name], atol=2e-5, err_msg=name)
    assert not (tmp_path / "cached" / "cache").exists()


@pytest.mark.parametrize("keep", [True, False])
def test_a_resumed_run_equals_an_uninterrupted_one_with_the_cache_and_without_it(tmp_path, keep):
    run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", logger=Hand(5))
    (stored,) = (tmp_path / "cut" / "cache" / "features").iterdir()
    if not keep:
        for file in sorted(stored.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    kt.resume(tmp_path / "cut", data=rows())
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        {"views.image.strength": "light"},
        {"encoders.image": {"name": "timm", "model": "test_resnet"}},
        {"plan.cache_features": "off"},
    ],
    ids=["an augmentation stands before it", "it learns", "it is switched off"],
)
def test_nothing_is_cached_where_features_change(tmp_path, settings):
    facts = Facts()
    made = run(tmp_path / "run", steps=9, logger=facts, **settings)
    assert made.experiment.plan.cache_features == "off"
    assert "cache" not in facts.said


def test_a_run_that_sees_each_row_once_caches_nothing(tmp_path):
    assert run(tmp_path / "run", steps=3).experiment.plan.cache_features == "off"


def test_a_full_disk_is_said_and_features_are_computed_at_every_step(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_writing, "SHARE", 0.0)
    facts = Facts()
    run(tmp_path / "run", logger=facts)
    assert "exceed half of the free disk" in facts.said["cache"]
    assert set(weights(tmp_path / "run"))


def test_the_writer_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_writing, "CHUNK", 16)
    original, calls = feature_writing.FeatureFiles.append, []

    def killed(files, *parts):
        calls.append(len(parts[0]))
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        original(files, *parts)

    monkeypatch.setattr(feature_writing.FeatureFiles, "append", killed)
    with pytest.raises(Interrupted, match="--resume"):
        run(tmp_path / "cut")
    assert calls == [16, 16, 16]
    del calls[2:]
    calls.append(0)  # so that the third call is not the third again
    kt.resume(tmp_path / "cut", data=rows())
    assert sum(calls) == Folder(tmp_path / "cut").read_json("data.json")["train"]


def test_log_probabilities_of_the_frozen_copy_are_computed_once(tmp_path, monkeypatch):
    """DPO: the policy learns and is called at every step, its reference is looked up."""
    pytest.importorskip("transformers")
    calls, forward = {False: 0, True: 0}, CausalLM.forward

    def counted(encoder, x):
        calls[next(encoder.parameters()).requires_grad] += 1
        return forward(encoder, x)

    monkeypatch.setattr(CausalLM, "forward", counted)
    said = {"chosen": [f"yes {i % 5} of {i}" for i in range(40)], "rejected": [f"no {i} never" for i in range(40)]}
    small = {"name": "causal_lm", "width": 16, "layers": 1, "heads": 2}
    given = {"encoders.text": small, "plan.batch": 8, "plan.precision": "32", "scores": []}
    fields = dict.fromkeys(said, "text")

    def end(cache):
        before = dict(calls)
        run = kt.train(
            said,
            recipe="dpo",
            fields=fields,
            steps=10,
            settings={**given, "plan.cache_features": cache},
            out=tmp_path / cache,
            device="cpu",
        )
        losses = [moment["loss"] for moment in Folder(run.path).moments()]
        return losses, {learns: calls[learns] - before[learns] for learns in calls}

    (one, cached), (two, plain) = end("auto"), end("off")
    np.testing.assert_allclose(one, two, atol=1e-5)
    assert cached[True] >= plain[True]
    assert cached[False] < plain[False]
