"""Recipes of sounds train from their names, with the views and encoders that they ask for."""

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from tests.support.settings import FAST
from tests.support.sounds import tone

pytestmark = pytest.mark.slow
N = 24
CLASSES = ["third", "fifth", "octave"]
DATA = {
    "audio": [(tone(row, seconds=0.25), 8000) for row in range(N)],
    "text": [f"a chord with a {CLASSES[row % 3]} in it, number {row}" for row in range(N)],
    "label": [CLASSES[row % 3] for row in range(N)],
}
SMALL = {**FAST, "plan.batch": 12, "tasks.contrast.width": 8}


def train(tmp_path, recipe, *columns, **settings):
    data = {name: DATA[name] for name in columns}
    return kt.train(data, recipe=recipe, steps=2, out=tmp_path / "run", settings={**SMALL, **settings})


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("cola", {"encoders.audio.base": 4}),
        ("byol_a", {"encoders.audio.base": 4}),
        ("clmr", {"encoders.audio.base": 4, "views.audio.seconds": 0.2}),
        ("supcon", {"encoders.audio.base": 4}),
    ],
)
def test_a_recipe_trains_on_sounds(tmp_path, recipe, settings):
    run = train(tmp_path, recipe, "audio", "label", **settings)
    again = kt.load(run.path)
    z = again.embed({"audio": DATA["audio"][:3]}).z["audio"]
    assert np.isfinite(z).all()
    view = again.experiment.views["audio"].settings
    seen = (view["strength"], view["input"], again.experiment.encoders["audio"].name)
    kinds = {"clmr": ("strong", "wave", "sample_cnn"), "byol_a": ("strong", "log_mel", "audio_cnn")}
    assert seen == kinds.get(recipe, ("light", "log_mel", "audio_cnn"))


def test_sounds_and_words_share_a_space(tmp_path):
    settings = {"encoders.audio.base": 4, "encoders.text.width": 16}
    run = train(tmp_path, "clap", "audio", "text", **settings)
    run.index({name: DATA[name] for name in ("audio", "text")})
    assert run.search("a chord with a third", among="audio", k=3)[0].field == "audio"


def test_a_recipe_of_sounds_asks_for_sounds(tmp_path):
    with pytest.raises(UserError, match="names a view 'audio'"):
        train(tmp_path, "cola", "text", "label")
