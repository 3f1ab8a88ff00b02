"""Runs as a collection: listed, sorted, tagged, pruned, moved; nothing that is not a run's own is ever touched."""

import json
import os
import shutil

import numpy as np
import pytest

from kontrast import api
from kontrast.core.errors import UserError
from kontrast.runs.comparison.alone import FOLDER
from kontrast.runs.comparison.alone_result import RECORD
from kontrast.runs.folder import prune
from kontrast.runs.folder.catalogue import catalogue, entry, lines, retag, tags
from kontrast.runs.folder.folder import TEACHERS, THREADS, TOTALS
from kontrast.runs.run import Run
from tests.support.series import waves
from tests.support.settings import FAST


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    x, kinds = waves(120)
    return api.train(
        {"x": x.astype(np.float32), "kind": kinds.astype(str)},
        label="kind",
        encoders={"series": {"name": "tcn", "hidden": 16, "out": 32, "depth": 2}},
        steps=4,
        settings=FAST,
        out=tmp_path_factory.mktemp("trained") / "waves-1",
    ).path


def named(scores, name):
    (found,) = [score for score in scores if score["name"] == name]
    return found


@pytest.fixture
def home(trained, tmp_path):
    """runs/ with a good run, a poorer one, a stopped one, a damaged one and a folder that is none."""
    runs = tmp_path / "runs"
    for name, value in (("good", 0.9), ("poor", 0.5)):
        shutil.copytree(trained, runs / name)
        file = runs / name / "scores.json"
        judged = json.loads(file.read_text())
        named(judged["scores"], "kNN accuracy")["trained"]["value"] = value
        file.write_text(json.dumps(judged))
    shutil.copytree(trained, runs / "stopped")
    (runs / "stopped" / "scores.json").unlink()
    (runs / "stopped" / "cache").mkdir()
    (runs / "stopped" / "cache" / "x.npy").write_bytes(b"x" * 100)
    for path in [*(runs / "stopped").rglob("*"), runs / "stopped"]:
        os.utime(path, (1e9, 1e9))
    (runs / "damaged").mkdir()
    (runs / "damaged" / "experiment.json").write_text("{")
    (runs / "mine").mkdir()
    (runs / "mine" / "notes.txt").write_text("not a run")
    return runs


def names(entries):
    return [one.path.name for one in entries]


def test_every_run_is_listed_with_what_came_of_it(home):
    found = {one.path.name: one for one in catalogue([home])}
    assert set(found) == {"good", "poor", "stopped", "damaged"}
    good = found["good"]
    assert (good.score_name, good.score, good.steps, good.recipe) == ("kNN accuracy", 0.9, 4, "simclr")
    assert good.low is not None
    assert good.size == sum(f.stat().st_size for f in good.path.rglob("*") if f.is_file())
    assert (found["stopped"].verdict, found["stopped"].steps) == ("unfinished", 4)
    assert found["damaged"].verdict == "damaged"
    table = list(lines(list(found.values())))
    assert table[0].split() == ["run", "data", "recipe", "verdict", "score", "steps", "minutes", "size", "tags"]
    assert len(table) == 5
    json.dumps([one.to_json() for one in found.values()])
    assert list(lines(catalogue([home / "nowhere"]))) == ["no runs here; train one: kontrast train DATA"]


def test_runs_are_sorted_by_any_column_with_the_unknown_last(home):
    assert names(catalogue([home], sort="score")) == ["good", "poor", "damaged", "stopped"]
    assert names(catalogue([home], sort="-score")) == ["poor", "good", "damaged", "stopped"]
    assert names(catalogue([home], sort="run")) == ["damaged", "good", "poor", "stopped"]
    assert names(catalogue([home], sort="-run"))[0] == "stopped"
    for column in ("data", "recipe", "verdict", "steps", "minutes", "size", "tags", "changed"):
        assert len(catalogue([home], sort=column)) == 4
    with pytest.raises(UserError, match="did you mean 'score'"):
        catalogue([home], sort="scor")


def test_tags_lie_in_the_run_and_travel_with_it(home, tmp_path):
    assert retag(home / "good", add=["paper", "best one"]) == ("best one", "paper")
    assert retag(home / "good", add=["paper"], remove=["best one", "never there"]) == ("paper",)
    assert names(catalogue([home], tag="paper")) == ["good"]
    moved = shutil.move(home / "good", tmp_path / "elsewhere")
    assert tags(moved) == ("paper",)
    with pytest.raises(UserError, match="no tag"):
        retag(moved, add=["a,b"])
    with pytest.raises(UserError, match="is no run"):
        retag(home / "mine", add=["x"])


def test_a_plan_removes_nothing(home):
    before = sorted(home.rglob("*"))
    listed = prune.plan(catalogue([home]), caches=True, checkpoints=True, unfinished=True, best=1)
    assert list(prune.lines(listed))[-1].endswith("in all")
    assert sorted(home.rglob("*")) == before


def test_only_what_is_asked_for_goes(home):
    found = catalogue([home])
    asked = {
        "caches": {"stopped/cache"},
        "checkpoints": {"good/checkpoints", "poor/checkpoints"},
        "unfinished": {"stopped"},
    }
    for kind, wanted in asked.items():
        listed = prune.plan(found, **{kind: True})
        assert {str(one.path.relative_to(home)) for one in listed} == wanted
    assert [one.path.name for one in prune.plan(found, best=1)] == ["poor"]
    assert prune.plan(found, best=2) == []
    with pytest.raises(UserError, match="--best N"):
        prune.plan(found)
    list(prune.remove(prune.plan(found, checkpoints=True)))
    assert not (home / "good" / "checkpoints").exists()
    assert (home / "stopped" / "checkpoints").exists()  # it is not finished: that is what it resumes from
    assert (home / "good" / "encoder").exists()


def test_a_run_under_way_and_a_tagged_one_stay(home):
    (home / "stopped" / "metrics.jsonl").touch()
    retag(home / "poor", add=["keep"])
    assert prune.plan(catalogue([home]), unfinished=True, caches=True, best=1) == []


def test_what_no_run_wrote_is_never_removed(home):
    (home / "poor" / "my notes.md").write_text("mine")
    (home / "poor" / "figures").mkdir()
    said = list(prune.remove(prune.plan(catalogue([home]), best=1)))
    assert said == [f"removed the run in {home / 'poor'}; left there, as no run wrote it: figures, my notes.md"]
    assert sorted(p.name for p in (home / "poor").iterdir()) == ["figures", "my notes.md"]
    assert (home / "mine" / "notes.txt").exists()
    assert (home / "damaged").exists()
    removal = prune.Removal(home / "mine", home / "mine", 1, "by mistake")
    with pytest.raises(UserError, match="no longer a run"):
        list(prune.remove([removal]))
    assert (home / "mine" / "notes.txt").exists()


def test_a_run_is_removed_with_what_later_commands_wrote_into_it(home):
    for name in (THREADS, TOTALS, TEACHERS, f"{FOLDER}/{RECORD}"):
        (home / "poor" / name).parent.mkdir(exist_ok=True)
        (home / "poor" / name).write_text("{}")
    assert list(prune.remove(prune.plan(catalogue([home]), best=1)))[-1] == f"removed {home / 'poor'}"
    assert not (home / "poor").exists()


def test_links_are_not_followed(home, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(home / "good", outside)
    (home / "link").symlink_to(outside)
    shutil.rmtree(home / "poor" / "checkpoints")
    (home / "poor" / "checkpoints").symlink_to(outside)
    assert "link" not in names(catalogue([home]))
    list(prune.remove(prune.plan(catalogue([home]), checkpoints=True)))
    list(prune.remove(prune.plan(catalogue([home]), best=1)))
    assert not (home / "poor").exists()
    assert (outside / "experiment.json").exists()
    assert (outside / "encoder" / "model.safetensors").exists()


def test_runs_of_other_rows_do_not_compete(home):
    file = home / "poor" / "data.json"
    known = json.loads(file.read_text())
    known["fingerprint"]["ids"] = "others"
    file.write_text(json.dumps(known))
    assert prune.plan(catalogue([home]), best=1) == []


def test_a_moved_run_embeds_scores_searches_and_reports(trained, tmp_path, monkeypatch):
    before = Run.load(trained)
    x, kinds = waves(30, seed=3)
    other = {"x": x.astype(np.float32), "kind": kinds.astype(str)}
    expected = before.embed(other).z["x"]
    moved = tmp_path / "on another machine" / "r"
    shutil.copytree(trained, moved)
    away = tmp_path / "elsewhere"
    away.mkdir()
    monkeypatch.chdir(away)
    run = Run.load(moved)
    np.testing.assert_array_equal(run.embed(other).z["x"], expected)
    assert named(run.evaluate(other), "kNN accuracy")["trained"]["value"] is not None
    run.index()
    again = shutil.move(moved, tmp_path / "and once more")  # the index, too, lies where the run lies
    hits = Run.load(again).search(like=x[0].astype(np.float32), k=3)
    assert len(hits) == 3
    page = Run.load(again).report().read_text()
    assert page.startswith("<!doctype html>")
    assert Run.load(again).verdict["words"].partition(":")[0] in page
    assert entry(again).verdict == before.verdict["state"]
    assert list(away.iterdir()) == []
