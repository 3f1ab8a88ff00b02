"""Trains, interrupts, resumes and uses a run: what the journey of each modality goes through."""

import json
import os
import signal
from contextlib import contextmanager

import numpy as np
import pytest
from safetensors.numpy import load_file

import kontrast as kt
import kontrast.training.loop
from kontrast.reporting.logger import Logger
from kontrast.runs.pipeline.train import Interrupted
from tests.support.settings import FAST


class Hand(Logger):
    """Presses Ctrl-C after a step."""

    def __init__(self, step):
        self.step = step

    def moment(self, moment):
        if moment.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


class Ear(Logger):
    """Remembers the first screen."""

    def __init__(self):
        self.facts = {}

    def fact(self, name, words):
        self.facts[name] = words


def number(run, name, which="trained"):
    return next(row for row in run.scores if row["name"] == name)[which]["value"]


def travels(data, tmp_path, *, steps, **options):
    """Train, interrupted and resumed and uninterrupted: both runs must hold the same weights. Then everything a run can
    do."""
    settings = {**FAST, **options.pop("settings", {})}
    ear = Ear()
    run = kt.train(data, steps=steps, out=tmp_path / "whole", settings=settings, logger=ear, **options)
    with pytest.raises(Interrupted, match="kontrast train --resume"):
        kt.train(data, steps=steps, out=tmp_path / "cut", settings=settings, logger=Hand(steps // 3), **options)
    again = None if isinstance(data, (str, os.PathLike)) else data
    cut = kt.resume(tmp_path / "cut", data=again)
    one, two = (load_file(r.path / "encoder" / "model.safetensors") for r in (run, cut))
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=f"{name} differs after resuming")
    assert [r["trained"] for r in run.scores] == [r["trained"] for r in cut.scores]
    moments = [json.loads(line) for line in (cut.path / "metrics.jsonl").read_text().splitlines()]
    assert [m["step"] for m in moments] == list(range(1, steps + 1))
    assert {"data", "split", "recipe", "encoder", "contrast", "health", "scores", "run", "next"} <= ear.facts.keys()
    pairs = next(m for m in run.verdict["measures"] if m["name"].startswith("AUC"))
    assert pairs["trained"] > max(0.6, pairs["untrained"] - 0.02), run.verdict["words"]  # on rows held out
    assert run.verdict["state"] in ("learning", "too short"), run.verdict["words"]  # of 60 steps, probes may not tell
    page = (run.path / "report.html").read_text()
    assert all(f"id='{part}'" in page for part in ("verdict", "space", "nearest", "scores", "curves", "views", "data"))
    assert run.verdict["words"].partition(":")[0] in page
    assert not list(run.path.rglob("*.part"))
    assert not list(run.path.rglob("*.pkl")) + list(run.path.rglob("*.pt"))
    return run


def same_whatever_the_batch(run, data):
    one, two = run.embed(data, batch=1), run.embed(data, batch=64)
    for name in one.z:
        np.testing.assert_allclose(one.z[name], two.z[name], atol=2e-6)
    return two


@contextmanager
def power_cut(monkeypatch, at):
    """Fails, as power does, in place of a step of training; the block must end by it."""
    taken, step = [], kontrast.training.loop.step

    def failing(*given, **named):
        taken.append(1)
        if len(taken) == at:
            raise RuntimeError("a power cut")
        return step(*given, **named)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr("kontrast.training.loop.step", failing)
        yield
