"""Recipes of videos, labels and captions train on clips."""

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from tests.support.settings import FAST
from tests.support.videos import MOTIONS, moving

pytestmark = pytest.mark.slow
N = 24
NAMES = list(MOTIONS)
DATA = {
    "clip": np.stack([moving(row) for row in range(N)]),
    "words": [f"a block that moves {NAMES[row % 3]}, filmed as number {row}" for row in range(N)],
    "label": [NAMES[row % 3] for row in range(N)],
}
SMALL = {**FAST, "plan.batch": 12, "tasks.contrast.width": 8}
TINY = {f"encoders.video.{name}": value for name, value in {"base": 4, "thin": 4, "hidden": 8}.items()}


def train(tmp_path, recipe, *columns, **settings):
    data = {name: DATA[name] for name in columns}
    return kt.train(data, recipe=recipe, steps=2, out=tmp_path / "run", settings={**SMALL, **settings})


@pytest.mark.parametrize(("recipe", "strength"), [("cvrl", "strong"), ("supcon", "light")])
def test_a_recipe_trains_on_clips_of_videos(tmp_path, recipe, strength):
    run = train(tmp_path, recipe, "clip", "label", **TINY)
    view = kt.load(run.path).experiment.views["clip"].settings
    assert (view["strength"], view["frames"]) == (strength, 16 if recipe == "cvrl" else 8)
    z = kt.load(run.path).embed({"clip": DATA["clip"][:3]}).z["clip"]
    assert np.isfinite(z).all()


def test_videos_and_words_share_a_space(tmp_path):
    run = train(tmp_path, "clip", "clip", "words", **TINY, **{"encoders.text.width": 16})
    run.index({name: DATA[name] for name in ("clip", "words")})
    assert run.search("a block that moves down", among="clip", k=3)[0].field == "clip"


def test_a_recipe_of_videos_asks_for_videos(tmp_path):
    with pytest.raises(UserError, match="names a view 'video'"):
        train(tmp_path, "cvrl", "words", "label")
