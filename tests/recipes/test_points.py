"""Recipes of point clouds train from their names, with the views and encoders that they ask for."""

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from tests.support.clouds import KINDS, body
from tests.support.settings import FAST

pytestmark = pytest.mark.slow
N = 24
DATA = {
    "shape": [body(row, points=80) for row in range(N)],
    "photo": [np.full((16, 16, 3), 40 * (row % 3) + row, np.uint8) for row in range(N)],
    "text": [f"a {KINDS[row % 3]} that stands there, number {row}" for row in range(N)],
}
SMALL = {**FAST, "plan.batch": 12}


def train(tmp_path, recipe, *columns, **settings):
    data = {name: DATA[name] for name in columns}
    return kt.train(data, recipe=recipe, steps=2, out=tmp_path / "run", settings={**SMALL, **settings})


@pytest.mark.parametrize(
    ("recipe", "columns", "settings", "encoder"),
    [
        ("strl", ("shape",), {"encoders.points.out": 8}, "pointnet"),
        ("pointcontrast", ("shape",), {"encoders.points.base": 4, "encoders.points.neighbours": 5}, "dgcnn"),
        ("crosspoint", ("shape", "photo"), {"encoders.points.out": 8, "encoders.image.base": 4}, "pointnet"),
    ],
)
def test_a_recipe_trains_on_clouds(tmp_path, recipe, columns, settings, encoder):
    run = train(tmp_path, recipe, *columns, **settings)
    z = run.embed({"shape": DATA["shape"][:3]}).z["shape"]
    assert np.isfinite(z).all()
    chosen = run.experiment
    assert (chosen.views["shape"].settings["strength"], chosen.encoders["points"].name) == ("strong", encoder)
    if recipe == "crosspoint":
        assert {name: (one.task.name, one.fields) for name, one in chosen.tasks.items()} == {
            "contrast": ("clip", ("shape", "photo")),
            "clouds": ("simclr", ("shape",)),
        }


def test_clouds_and_words_share_a_space(tmp_path):
    run = train(tmp_path, None, "shape", "text", **{"encoders.points.out": 8, "encoders.text.width": 16})
    assert run.experiment.views["shape"].settings["strength"] == "light"
    run.index({name: DATA[name] for name in ("shape", "text")})
    assert run.search("a ball that stands there", among="shape", k=3)[0].field == "shape"


def test_a_recipe_of_clouds_asks_for_clouds(tmp_path):
    with pytest.raises(UserError, match="names a view 'points'"):
        train(tmp_path, "strl", "photo")
