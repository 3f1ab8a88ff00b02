"""Recipes with momentum copies or memories in whole runs: floors, resume bit for bit, a collapse."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import kontrast as kt
from kontrast.core.errors import Interrupted, UserError
from tests.support.journeys import Hand

pytestmark = pytest.mark.slow

RECIPES = ("moco", "moco_v1", "moco_v3", "byol", "dino", "densecl", "simsiam", "instance_discrimination")
N, SIDE = 150, 16
LABEL = np.arange(N) % 3
SMALL = {"plan.batch": 24, "encoders.image.base": 8}


def pictures():
    """Stripes, checks and slow waves at any place, on grounds of any colour: the colour hides the class."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    made = np.empty((N, SIDE, SIDE, 3))
    for k in range(N):
        a, b = rng.uniform(0, 6, 2)
        waves = [np.sin(1.6 * x + a), np.sin(1.6 * x + a) * np.sin(1.6 * y + b), np.sin(0.5 * x + a)]
        noise = 12 * rng.standard_normal((SIDE, SIDE, 3))
        made[k] = rng.uniform(60, 190, 3) + 30 * waves[LABEL[k]][..., None] + noise
    return made.clip(0, 255).astype("uint8")


def series():
    """Sines of three frequencies in noise, (N, 40)."""
    rng = np.random.default_rng(0)
    at = np.linspace(0, 6, 40)
    made = np.stack([np.sin((1 + c) * at + p) for c, p in zip(LABEL, rng.uniform(0, 6, N), strict=True)])
    return made + 0.3 * rng.standard_normal((N, 40))


def train(recipe, out, *, kind="image", steps, settings=None, logger=None):
    rows = {kind: pictures() if kind == "image" else series(), "label": LABEL}
    settings = {**(SMALL if kind == "image" else {"plan.batch": 24}), **(settings or {})}
    fields = {kind: kind, "label": "label"}
    more = {} if logger is None else {"logger": logger}
    return rows, kt.train(rows, recipe=recipe, fields=fields, settings=settings, steps=steps, out=out, seed=0, **more)


@pytest.mark.parametrize("recipe", RECIPES)
def test_sixty_steps_teach_what_the_colour_hides(tmp_path, recipe):
    settings = {"tasks.contrast.crops": 2} if recipe == "dino" else {}
    _, run = train(recipe, tmp_path / "run", steps=60, settings=settings)
    linear = next(row for row in run.scores if row["name"].startswith("linear"))
    assert linear["trained"]["value"] > linear["untrained"]["value"] + 0.05
    pairs = [m for m in run.verdict["measures"] if m["name"].startswith("AUC")]
    assert all(m["trained"] > max(0.7, m["untrained"] + 0.05) for m in pairs), pairs
    assert run.verdict["state"] == "learning"


@pytest.mark.parametrize(
    ("recipe", "kind", "settings"),
    [
        ("moco", "image", {"tasks.contrast.queue": 60}),
        ("moco_v3", "series", {}),
        ("densecl", "series", {}),
        ("byol", "image", {}),
        ("dino", "image", {"tasks.contrast.crops": 2}),
        ("simsiam", "series", {}),
        ("instance_discrimination", "series", {"tasks.contrast.noise": 20}),
    ],
)
def test_copies_queue_and_memory_are_resumed_bit_for_bit(tmp_path, recipe, kind, settings):
    more = {"kind": kind, "steps": 7, "settings": {**settings, "scores": []}}
    _, whole = train(recipe, tmp_path / "whole", **more)
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "cut", logger=Hand(3), **more)
    rows = {kind: pictures() if kind == "image" else series(), "label": LABEL}
    cut = kt.resume(tmp_path / "cut", data=rows)
    states = []
    for run in (whole, cut):
        last = max((run.path / "checkpoints").rglob("*.safetensors"))
        states.append(load_file(last))
    one, two = states
    assert one.keys() == two.keys()
    parts = ("momentum.", "copied.", "queue.", "memory.", "centre.")
    kept = [name for name in one if any(part in name for part in parts)]
    assert bool(kept) == (recipe != "simsiam")
    for name, value in one.items():
        assert torch.equal(value, two[name]), f"{name} differs after resuming"
    assert not [name for name in load_file(whole.path / "encoder" / "model.safetensors") if "momentum" in name]


def test_simsiam_without_stop_gradient_is_reported_as_collapsed_with_that_cause(tmp_path):
    settings = {"tasks.contrast.stop_gradient": False, "plan.keep_going": True}
    _, run = train("simsiam", tmp_path / "run", steps=120, settings=settings)
    last = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["health"]["spread"] < 0.05
    assert last["loss"] < -0.99  # the least possible is -1
    assert run.verdict["state"] == "collapsed"
    assert "without a stop-gradient, a constant embedding is optimal" in run.verdict["causes"][0]


def test_a_queue_longer_than_the_data_is_refused_before_the_run(tmp_path):
    with pytest.raises(UserError, match="expected at most as many keys as rows"):
        train("moco", tmp_path / "run", kind="series", steps=1, settings={"tasks.contrast.queue": 65536})
