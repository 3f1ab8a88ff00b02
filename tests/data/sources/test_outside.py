"""Cells name files of the data's own folder only; for others there is a flag, which the message names."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import kontrast
from kontrast.core.errors import UserError
from kontrast.core.experiment import Source
from kontrast.data.dataset.dataset import prepare
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.modalities.image.image import Image as Pictures
from tests.support.command import call
from tests.support.settings import FAST

REASON = r"lies outside of .*: add --allow-outside to read files from anywhere\."


@pytest.fixture
def world(tmp_path):
    """data/ with a.png ... and secret.png beside it."""
    (tmp_path / "data" / "in").mkdir(parents=True)
    for n, name in enumerate("abcdef"):
        Image.new("RGB", (16, 16), (40 * n, 0, 200 - 30 * n)).save(tmp_path / "data" / "in" / f"{name}.png")
    Image.new("RGB", (16, 16), (9, 250, 9)).save(tmp_path / "secret.png")
    return tmp_path


def rows(data, **settings):
    """(ids that are used, {id: reason} of those set aside)."""
    frame = open_frame(data, cache=None)
    fields = infer(frame, {}, None)
    kinds = {n: Pictures(size=8) for n, f in fields.items() if f.kind == "image"}
    cache = frame.folder.parent / f"cache-{os.urandom(4).hex()}"
    source = Source(quarantine=1, held_out=0, **settings)
    made = prepare(frame, fields, kinds, source=source, seed=0, cache=cache, fit=True)
    return made.ids.tolist(), {name: reason for _, name, _, reason in made.quarantined}


def written(world, cells, suffix=".csv"):
    path = world / "data" / f"x{suffix}"
    table = pa.table({"id": [f"r{n}" for n in range(len(cells))], "image": cells})
    if suffix == ".parquet":
        pq.write_table(table, path)
    elif suffix == ".jsonl":
        import json

        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        path.write_text("id,image\n" + "".join(f"{row['id']},{row['image']}\n" for row in table.to_pylist()))
    return path


def cells(world):
    (world / "data" / "link.png").symlink_to(world / "secret.png")
    (world / "data" / "door").symlink_to(world)
    (world / "data" / "inner.png").symlink_to(world / "data" / "in" / "a.png")
    outside = ["../secret.png", str(world / "secret.png"), "in/../../secret.png", "link.png", "door/secret.png"]
    inside = ["in/a.png", "in/../in/b.png", "./in/c.png", str(world / "data" / "in" / "d.png"), "inner.png"]
    return inside, outside


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_cell_that_leads_out_is_set_aside_and_the_flag_reads_it(world, suffix):
    inside, outside = cells(world)
    path = written(world, inside + outside, suffix)
    used, aside = rows(path)
    assert used == [f"r{n}" for n in range(len(inside))]
    assert list(aside) == [f"r{n}" for n in range(len(inside), len(inside + outside))]
    assert all(
        f"{world / 'secret.png'} lies outside of" in reason and "--allow-outside" in reason for reason in aside.values()
    )
    assert rows(path, outside=True) == ([f"r{n}" for n in range(len(inside + outside))], {})


@pytest.mark.slow
def test_where_all_lead_out_the_error_names_the_flag(world, capsys):
    path = written(world, [str(world / "secret.png"), "../secret.png"] * 4)
    with pytest.raises(UserError, match=REASON):
        rows(path)
    fast = [word for name in ("channels_last", "compile") for word in ("--set", f"plan.{name}=off")]
    words = ("train", path, "--steps", 2, "--precision", "32", *fast, "--quiet", "--out", world / "run")
    assert call(*words) == 2
    assert "--allow-outside" in capsys.readouterr().err
    assert call(*words, "--allow-outside") == 0, capsys.readouterr().err
    assert kontrast.load(world / "run").experiment.source.outside
    assert call("embed", world / "run", path, "--out", world / "e.parquet", "--quiet") == 2
    assert "--allow-outside" in capsys.readouterr().err
    for verb in (("embed", "--out", world / "e.parquet"), ("index", "--engine", "faiss"), ("evaluate",)):
        assert call(verb[0], world / "run", path, *verb[1:], "--quiet", "--allow-outside") == 0, capsys.readouterr().err
    assert call("doctor", path, "--allow-outside", "--quiet") in (0, 1)


@pytest.mark.parametrize(
    "name", ["file:///etc/passwd", "file:in/a.png", "http://x.org/a.png", "FTP://x/a.png", "s3://b/a.png"]
)
def test_an_address_is_no_path(world, name):
    _, aside = rows(written(world, ["in/a.png", "in/b.png", "in/c.png", "in/d.png", "in/e.png", name]))
    assert "address" in aside["r5"]


def test_a_link_in_a_folder_of_pictures_that_leads_out_is_set_aside(world):
    (world / "data" / "in" / "link.png").symlink_to(world / "secret.png")
    (world / "data" / "in" / "good.png").symlink_to(world / "data" / "in" / "a.png")
    used, aside = rows(world / "data" / "in")
    assert list(aside) == ["link.png"]
    assert "good.png" in used
    assert rows(world / "data" / "in", outside=True)[1] == {}


def test_a_folder_that_is_itself_a_link_is_where_it_leads(world):
    (world / "there").symlink_to(world / "data" / "in")
    assert len(rows(world / "there")[0]) == 6


def test_a_text_file_that_is_a_link_out_is_refused(tmp_path):
    (tmp_path / "texts").mkdir()
    for name in "abc":
        (tmp_path / "texts" / f"{name}.txt").write_text(f"text {name}")
    (tmp_path / "texts" / "d.txt").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match=r"d.txt is a link that leads out of .*cp -rL"):
        open_frame(tmp_path / "texts", cache=None)


def test_a_mix_may_name_what_its_writer_names_and_each_part_keeps_to_its_folder(world):
    (world / "mixes").mkdir()
    written(world, ["in/a.png", "in/b.png", "../secret.png"])
    (world / "mixes" / "more.csv").write_text(
        f"id,image\nm,{world / 'secret.png'}\nn,{world / 'data' / 'in' / 'c.png'}\n"
    )
    (world / "mixes" / "x.json").write_text('{"mix": [{"data": "../data/x.csv"}, {"data": "more.csv"}]}')
    _, aside = rows(world / "mixes" / "x.json")
    assert {name.rpartition("/")[2] for name in aside} == {"r2", "m"}


def test_what_a_program_hands_over_may_name_any_file(world):
    (world / "data" / "sub").mkdir()
    given = {"id": ["a", "b"], "image": [str(world / "secret.png"), str(world / "data" / "in" / "a.png")]}
    for data in (given, pa.table(given)):
        frame = open_frame(data, cache=None)
        made = prepare(
            *(frame, infer(frame, {}, None), {"image": Pictures(size=8)}),
            **{"source": Source(held_out=0), "seed": 0, "cache": world / f"c{type(data).__name__}", "fit": True},
        )
        assert len(made) == 2


def test_a_saved_dataset_names_files_of_its_own_folder_only(world):
    import datasets

    datasets.disable_progress_bars()
    files = [{"bytes": None, "path": str(world / "secret.png")}] + [
        {"bytes": (world / "data" / "in" / f"{n}.png").read_bytes(), "path": None} for n in "abcde"
    ]
    datasets.Dataset.from_dict({"image": files}).save_to_disk(str(world / "saved"))
    _, aside = rows(world / "saved")
    assert ["outside of" in reason for reason in aside.values()] == [True]


def test_a_search_by_a_table_keeps_to_its_folder_too(world):
    from kontrast.runs.search_query import ask

    fine = written(world, ["in/a.png", "in/b.png", "in/c.png", "in/d.png", "in/e.png", "in/f.png"])
    run = kontrast.train(fine, steps=2, settings=FAST, out=world / "run", device="cpu")
    from kontrast.runs.folder.folder import Folder
    from kontrast.runs.model import Model

    model = Model.load(Folder(run.path))
    written(world, ["../secret.png", "in/b.png"])
    with pytest.raises(UserError, match="lies outside of"):
        ask(model, str(world / "data" / "x.csv"), None, text=False)
    named = str(world / "secret.png")  # by the user, not by a cell
    assert ask(model, named, None, text=False) == ("image", named)
