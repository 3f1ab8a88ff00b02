"""Recipes that predict what follows in series train on rows of unequal lengths with gaps."""

import json
import math

import pytest
import torch

import kontrast as kt

pytestmark = pytest.mark.slow


def walks(n=40):
    """Random walks of several lengths, some with a gap."""
    g = torch.Generator().manual_seed(0)
    rows = [torch.randn(20 + k % 9, generator=g).cumsum(0) for k in range(n)]
    for row in rows[::3]:
        row[5:9] = math.nan
    return {"x": [row.tolist() for row in rows]}


@pytest.mark.parametrize(
    ("recipe", "terms", "settings"),
    [
        ("cpc", {"contrast"}, {"tasks.contrast.context": 8}),
        ("ts_tcc", {"from weak", "from strong", "contexts"}, {"tasks.contrast.hidden": 8}),
    ],
)
def test_the_recipe_trains_on_unequal_series_with_gaps_and_embeds_them(tmp_path, recipe, terms, settings):
    settings |= {"plan.batch": 12, "encoders.series.hidden": 8, "encoders.series.out": 6, "scores": []}
    rows = walks()
    run = kt.train(rows, recipe=recipe, fields={"x": "series"}, settings=settings, steps=3, out=tmp_path / "run")
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [set(json.loads(line)["terms"]) for line in lines] == [terms] * 3
    assert torch.tensor(run.embed({"x": rows["x"][:5]}).z["x"]).isfinite().all()
