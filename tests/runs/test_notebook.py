"""A run in a notebook: one small, self-contained piece of HTML, drawings as SVG, and words that stay words."""

import re
import xml.etree.ElementTree as ET
from html import unescape

import numpy as np
import pytest

from kontrast import api
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.reporting.drawings import curve_drawing, map_drawing, spread_out
from kontrast.runs.run import Run
from tests.support.series import waves
from tests.support.settings import FAST


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    x, kinds = waves(150)
    names = np.array(["slow & low", "<b>fast</b>", "saw"])[kinds]
    return api.train(
        {"x": x.astype(np.float32), "kind": names},
        label="kind",
        encoders={"series": {"name": "tcn", "hidden": 16, "out": 32, "depth": 2}},
        steps=25,
        settings=FAST,
        out=tmp_path_factory.mktemp("runs") / "waves & more",
    )


def test_a_run_shows_claim_scores_curve_and_map(run):
    html = run._repr_html_()
    assert "waves &amp; more" in html
    assert "kNN accuracy" in html
    assert run.verdict["words"] in unescape(re.sub("</?b>", "", html))
    assert html.count("<svg xmlns") >= 2
    assert "class='thumbs'" in html
    assert "&lt;b&gt;fast&lt;/b&gt;" in html
    assert "<b>fast</b>" not in html
    assert len(html) < 500_000
    assert html == run._repr_html_()
    assert "<script" not in html
    assert not re.findall(r"(?:src|href)='?\"?http", html)


def test_a_run_that_is_not_finished_says_how_to_go_on(run, tmp_path):
    import shutil

    begun = tmp_path / "begun"
    shutil.copytree(run.path, begun)
    (begun / "scores.json").unlink()
    html = Run.load(begun)._repr_html_()
    assert "not finished" in html
    assert "step 25 of 25" in html
    assert f"--resume {begun}" in html
    (begun / "metrics.jsonl").unlink()
    assert "before its first step" in Run.load(begun)._repr_html_()


def test_plots_are_svg_that_parses_and_can_be_saved(run, tmp_path):
    for what in ("map", "loss", "rate", "spread", "effective_rank"):
        drawn = run.plot(what)
        root = ET.fromstring(drawn._repr_svg_())
        assert root.tag.endswith("svg")
    points = ET.fromstring(run.plot().svg).findall(".//{*}title")
    assert {t.text.split(" · ")[1] for t in points} == {"slow & low", "<b>fast</b>", "saw"}
    assert run.plot("loss").save(tmp_path / "loss.svg").read_text() == run.plot("loss").svg
    with pytest.raises(UserError, match="did you mean 'loss'"):
        run.plot("los")


def test_a_curve_takes_one_point_gaps_and_none():
    assert "<circle" in curve_drawing([{"step": 1, "loss": 2.0}], "loss").svg
    moments = [{"step": s, "loss": float("nan") if s == 2 else 1.0 / s, "health": None} for s in range(1, 5)]
    assert "nan" not in curve_drawing(moments, "loss").svg
    assert "no loss yet" in curve_drawing([], "loss").svg


def test_a_map_holds_every_field_of_a_shared_space_and_lacks_what_rows_lack():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40, 6)).astype(np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    text = z.copy()
    text[:10] = np.nan
    bank = EmbeddingTable({"photo": z, "words": text}, np.arange(40).astype(str), shared=True)
    points = spread_out(bank)
    assert len(points.row) == 70
    assert (points.xy >= 0).all()
    assert (points.xy <= 1).all()
    svg = map_drawing(bank, points).svg
    assert svg.count("<circle") == 40
    assert svg.count("<rect") == 30
    empty = EmbeddingTable({"x": np.full((3, 2), np.nan, np.float32)}, np.arange(3).astype(str), shared=True)
    assert "<circle" not in map_drawing(empty).svg
