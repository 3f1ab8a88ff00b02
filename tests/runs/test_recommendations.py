"""Recommendation, from training to the command: what follows in a ring is found, and seen items are left out."""

import json

import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from kontrast.runs.recommendations import measure, recommend
from tests.support.command import call
from tests.support.settings import FAST

pytestmark = pytest.mark.slow
ITEMS = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plays")
    rows = [{"id": f"u{n}", "plays": [f"s{(7 * n + step) % ITEMS}" for step in range(7)]} for n in range(ITEMS)]
    (folder / "plays.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = {
        **FAST,
        "views.plays.left_out": 1,
        "source.held_out": 0.0,
        "encoders.history.depth": 1,
        "plan.batch": 64,
    }
    return kt.train(
        folder / "plays.jsonl", recipe="cl4srec", steps=120, settings=settings, out=folder / "run", device="cpu"
    )


def test_the_item_that_follows_is_recommended_and_beats_popularity(run, capsys):
    data = run.path.parent / "plays.jsonl"
    table = {(one["name"], one["among"]): one for one in measure(run, data)}
    top = table["HR@5", "all items"]
    assert top["rows"] == ITEMS
    assert top["run"] > 0.5 > 0.2 > top["popularity"]
    assert {among for _, among in table} == {"all items"}  # too few to draw 99
    found = recommend(run, data, k=3)
    assert {len(row["items"]) for row in found} == {3}
    own = {row["id"]: row["plays"] for row in map(json.loads, data.read_text().splitlines())}
    assert not any(set(row["items"]) & set(own[row["id"]]) for row in found)
    assert all(row["scores"] == sorted(row["scores"], reverse=True) for row in found)
    assert len(recommend(run, data, k=1000, seen=True)[0]["items"]) == ITEMS
    capsys.readouterr()
    assert call("recommend", run.path, data, "--k", 2, "--json") == 0
    assert [json.loads(line)["items"] for line in capsys.readouterr().out.splitlines()] == [
        r["items"][:2] for r in found
    ]
    assert call("recommend", run.path, data, "--measure", "--quiet") == 0
    assert f"the last item of {ITEMS} rows" in capsys.readouterr().out


def test_what_cannot_be_recommended_is_said(run, tmp_path):
    with pytest.raises(UserError, match="k=0; expected 1 or more"):
        recommend(run, {"plays": [["s1", "s2"]]}, k=0)
    with pytest.raises(UserError, match="no row has two items"):
        measure(run, {"plays": [["s1"], ["s2"]]})
    rows = {"plays": [[f"s{(n + step) % 9}" for step in range(5)] for n in range(24)]}
    other = kt.train(rows, steps=1, settings=FAST, out=tmp_path / "other", device="cpu")
    with pytest.raises(UserError, match="recommends no items: its tasks are simclr"):
        recommend(other, rows)


def test_next_item_alone_trains_by_its_recipe(run, tmp_path):
    small = {**FAST, "encoders.history.depth": 1, "plan.batch": 16}
    alone = kt.train(run.path.parent / "plays.jsonl", recipe="sasrec", steps=3, settings=small, out=tmp_path / "run")
    assert alone.experiment.names == "next_item"
    assert len(recommend(alone, run.path.parent / "plays.jsonl", k=2)) == ITEMS
