"""Every mistake a user can make, through the command line: one line that says what to do, exit code 2, nothing left."""

import csv
import json
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from kontrast import cli
from tests.support.command import call

SHORT = ("--steps", "3", "--batch", "16", "--precision", "32", "--channels-last", "off", "--quiet")


def everything(folder):
    return {p.relative_to(folder): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Small data of all kinds, whole and broken."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(60, 32)).cumsum(1).astype("f4")
    kinds = np.arange(60) % 3
    np.savez(folder / "waves.npz", series=waves, label=kinds)
    np.savez(folder / "unequal.npz", series=waves, label=kinds[:59])
    np.savez(folder / "flat.npz", series=np.ones((60, 32), "f4"))
    np.savez(folder / "one.npz", series=waves[:1])
    np.savez(folder / "one_class.npz", series=waves, label=np.zeros(60, int))
    np.savez(folder / "alike.npz", image=np.full((60, 8, 8), 7, "u1"))
    np.save(folder / "pickled.npy", np.array([{"a": 1}, 2], dtype=object), allow_pickle=True)
    (folder / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    torch.save([1], folder / "list.pt")
    for name in ("pictures", "some_corrupt"):
        for n, picture in enumerate(rng.integers(0, 255, (60, 8, 8), dtype=np.uint8)):
            place = folder / name / str(n % 3)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place / f"{n:02d}.png")
    for n in range(9):
        (folder / "some_corrupt" / str(n % 3) / f"{n:02d}.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    for name in ("empty", "all_corrupt"):
        (folder / name).mkdir()
    for name in ("00.png", "01.png"):
        (folder / "all_corrupt" / name).write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "no_pictures").mkdir()
    (folder / "no_pictures" / "readme.md").write_text("hello")
    words = [f"some words about {n} things" for n in range(40)]
    texts = {
        "no_header.csv": "".join(f"{n},{n * 2}.5\n" for n in range(30)),
        "ragged.csv": "text,label\n" + "".join(f"{w},{n % 2}\n" for n, w in enumerate(words)) + "more,1,2,3\n",
        "empty.csv": "",
        "only_header.csv": "text,label\n",
        "broken.jsonl": "".join(json.dumps({"text": w}) + "\n" for w in words) + '{"text": \n',
        "numbers.csv": "a\n" + "".join(f"{n % 7}\n" for n in range(30)),
        "counted.csv": "row,again\n" + "".join(f"{n},{n + 100}\n" for n in range(30)),
        "gone.csv": "image,price\n" + "".join(f"no{n}.png,{n}\n" for n in range(30)),
        "blank.csv": "id,text\n" + "".join(f"{n},\n" for n in range(30)),
        "pairs.csv": "image,text\n" + "".join(f"pictures/{n % 3}/{n:02d}.png,{w}\n" for n, w in enumerate(words)),
        "unknown.qqq": "hello",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def done(world):
    """A finished run on the series."""
    assert call("train", world / "waves.npz", *SHORT, "--out", world / "done") == 0
    return world / "done"


@pytest.fixture(scope="module")
def seen(world):
    """A finished run on the pictures, not indexed."""
    assert call("train", world / "pictures", *SHORT, "--out", world / "seen") == 0
    return world / "seen"


@pytest.fixture
def refused(world, monkeypatch, capsys):
    """Call a command in the world, hold it to the rules of a refusal, and give its one line."""
    monkeypatch.chdir(world)

    def refuse(*words):
        before = everything(world)
        code = call(*words)
        said = capsys.readouterr().err
        assert code == 2, said
        assert said.startswith("kontrast: "), said
        assert said.count("\n") == 1, said
        assert "Traceback" not in said
        left = {p for p in everything(world).items() if p[0].parts[0] != "runs"}
        assert left == {p for p in before.items() if p[0].parts[0] != "runs"}
        assert not (world / "runs").exists() or not any((world / "runs").iterdir())
        return said

    return refuse


DATA = {
    "nowhere.csv": ["nowhere.csv does not exist", "Check the path"],
    "empty": ["folder empty", "it is empty", "Expected"],
    "no_pictures": ["found readme.md", "Expected", "images"],
    "no_header.csv": ["no_header.csv has no header", "0, 0.5", "Write the column names"],
    "ragged.csv": ["ragged.csv, line 42", "4 cells where the header has 2"],
    "empty.csv": ["empty.csv is empty", "expected a header"],
    "only_header.csv": ["only_header.csv has no rows"],
    "broken.jsonl": ["broken.jsonl, line 41", "not JSON"],
    "unequal.npz": ["series 60, label 59", "expected one value per row"],
    "pickled.npy": ["pickled", "never loaded"],
    "list.pkl": ["list.pkl", "suffix '.pkl'", "expected"],
    "list.pt": ["list.pt", "suffix '.pt'", "expected"],
    "unknown.qqq": ["unknown.qqq", "suffix '.qqq'", "expected"],
    "one.npz": ["one.npz", "one row", "at least two"],
    "flat.npz": ["flat.npz", "'series'", "no series changes over time"],
    "numbers.csv": ["nothing to embed", "a is meta", "--field"],
    "counted.csv": ["the table has no column to learn from", "'row': it numbers the rows", "expected at least one"],
    "gone.csv": ["look like image files", "none of them lies in"],
    "https://example.org/data.csv": ["is an address", "Download it"],
}


@pytest.mark.parametrize("data", DATA)
def test_data_that_cannot_be_trained_on(refused, data):
    said = refused("train", data, *SHORT)
    for part in DATA[data]:
        assert part in said


TRAINING = {
    "pictures --field nope=image": ["no column 'nope'", "image, label"],
    "pictures --field image=imag": ["no kind 'imag'", "did you mean 'image'"],
    "pictures --field image": ["--field image: expected NAME=VALUE"],
    "pictures --label nope": ["no column 'nope'", "image, label"],
    "gone.csv --field image=image": ["field 'image'", "none could be read", "no such file"],
    "blank.csv --field text=text": ["field 'text'", "empty in all of them"],
    "pictures --set plan.bach=16": ["no setting 'bach'", "did you mean 'batch'"],
    "pictures --set plann.batch=16": ["no setting 'plann.batch'", "did you mean 'plan'"],
    "pictures --set plan.batch=many": ["plan.batch='many'", "int"],
    "pictures --set plan.batch=1": ["plan.batch=1", "2 or more"],
    "pictures --set plan.batch": ["--set plan.batch: expected NAME=VALUE"],
    "pictures --set plan.optimiser.name=adam": ["no optimiser 'adam'", "did you mean 'adamw'"],
    "pictures --set source.held_out=2": ["source.held_out=2", "0 to 1"],
    "pictures --set tasks.contrast.temperatur=0.1": ["no setting 'temperatur'", "did you mean 'temperature'"],
    "pictures --set tasks.contrast.temperature=hot": ["temperature='hot'", "float"],
    "pictures --set tasks.contrast.temperature=0": ["temperature=0", "above 0"],
    "pictures --set tasks.contrast.temperature=-1": ["temperature=-1", "above 0"],
    "pictures --recipe simclrr": ["no recipe 'simclrr'", "did you mean 'simclr'"],
    "pictures --recipe my_lab:idea": ["cannot load recipe 'my_lab:idea'", "package.module:Name"],
    "pictures --encoder image=resnett": ["no encoder 'resnett'", "did you mean 'resnet'"],
    "pictures --encoder image=resnet,dept=3": ["no setting 'dept'"],
    "pictures --encoder picture=resnet": ["no view is called 'picture'"],
    "pictures --encoder resnet": ["--encoder resnet: expected NAME=VALUE"],
    "pictures --encoder image=timm": ["timm: name the model"],
    "pictures --set views=[1]": ["views is [1]", "expected an object"],
    "pictures --set scores=knn": ["scores is 'knn'", "expected a list"],
    "pictures --precision 64": ["plan.precision='64'", "bf16"],
    "pictures --encoder image=timm,model=resnet99": ["no model 'resnet99'", "did you mean"],
    "pairs.csv --encoder text=transformer,model=/nonexistent": ["'/nonexistent'", "no such folder"],
    "pictures --epochs 2": ["one of --steps, --epochs, --minutes", "steps and epochs"],
    "pictures --set plan.minutes=2": ["one of --steps, --epochs, --minutes", "steps and minutes"],
    "pairs.csv --recipe simclr": ["'simclr' takes at most 1 field", "image (image), text (text)", "ignore"],
    "pictures --recipe clip": ["'clip' takes at least 2 fields", "image (image)"],
    "pictures --device warp": ["no device is called 'warp'", "cpu"],
    "pictures --out pictures": ["pictures exists and is not empty", "name a new folder"],
    "pictures --out unknown.qqq": ["cannot make the run folder unknown.qqq", "--out"],
    "pictures --out unknown.qqq/run": ["cannot make the run folder", "Not a directory"],
    "pictures --batch 1": ["'--batch'", "greater than or equal to 2", "kontrast train --help"],
    "pictures --stepz 3": ["No such option: --stepz", "--steps", "kontrast train --help"],
    "pictures --seed x": ["'--seed'", "valid integer"],
    "pictures more": ["unexpected extra argument", "more"],
}


@pytest.mark.parametrize("words", TRAINING)
def test_a_training_that_cannot_be(refused, words):
    said = refused("train", *SHORT, *words.split())
    for part in TRAINING[words]:
        assert part in said


COMMANDS = {
    "trian pictures": ["No such command 'trian'", "Did you mean 'train'?", "kontrast --help"],
    "train": ["nothing to train on", "kontrast train pictures/"],
    "train --recipe simclr": ["nothing to train on"],
    "train pictures --minutes 0": ["plan.minutes=0", "more than 0"],
    "list recipez": ["no room 'recipez'", "did you mean 'recipes'"],
    "show simclrr": ["nothing is called 'simclrr'", "did you mean 'simclr'"],
    "embed pictures pictures": ["pictures is no run", "experiment.json"],
    "evaluate nowhere waves.npz": ["nowhere is no run"],
    "index nowhere": ["nowhere is no run"],
    "search nowhere word": ["nowhere is no run"],
    "report nowhere": ["nowhere is no run"],
    "train --resume nowhere": ["nowhere is no run"],
    "search": ["Missing argument", "RUN"],
}


@pytest.mark.quick
@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_that_cannot_be(refused, words):
    said = refused(*words.split())
    for part in COMMANDS[words]:
        assert part in said


FINISHED = {
    "search seen": ["found neither"],
    "search seen word --like pictures/0/00.png": ["found both"],
    "search seen word": ["no text field", "--like FILE"],
    "search seen --like pictures/0/00.png": ["holds no index", "kontrast index RUN DATA"],
    "search seen --like nowhere.png": ["cannot read 'nowhere.png' as image: no such file."],
    "search seen --like some_corrupt/0/00.png": ["cannot read", "as image", "not a picture"],
    "search seen --like pictures/0/00.png -k 0": ["'-k'", "greater than or equal to 1"],
    "search seen --like pictures/0/00.png --field nope": ["no field 'nope'", "image"],
    "search seen --like pictures/0/00.png --among nope": ["do not share a space"],
    "embed seen waves.npz": ["none of this run's fields (image)", "series, label"],
    "embed seen nowhere": ["nowhere does not exist"],
    "embed seen pictures --out empty --quiet": ["cannot write empty", "it is a folder"],
    "embed seen pictures --out unknown.qqq/bank.parquet --quiet": ["cannot write unknown.qqq/bank.parquet"],
    "embed seen all_corrupt": ["none of its 2 rows can be used", "the first: row 0", "not a picture"],
    "evaluate seen waves.npz": ["none of this run's fields (image)"],
    "index seen waves.npz": ["none of this run's fields (image)"],
    "train --resume seen --batch 8": ["another recipe", "plan.batch: 16 -> 8"],
    "train --resume seen --seed 5": ["another recipe", "seed: 0 -> 5"],
    "train pictures --out seen": ["seen exists and is not empty", "--resume seen"],
}


@pytest.mark.parametrize("words", FINISHED)
def test_a_finished_run_stays_as_it_is(refused, seen, words):
    said = refused(*words.split())
    for part in FINISHED[words]:
        assert part in said


def test_a_filter_that_cannot_be(refused, seen, world):
    shutil.copytree(seen, world / "indexed")
    assert call("index", world / "indexed", "--quiet") == 0
    for where in ("labl = '1'", "((("):
        said = refused("search", "indexed", "--like", "pictures/0/00.png", "--where", where)
        assert where in said
        assert "Columns: id (string)" in said


def test_public_weights_without_a_network(refused, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = refused("train", "pictures", *SHORT, "--encoder", "image=timm,model=resnet10t,pretrained=true")
    assert "the weights of 'resnet10t' are not in the Hugging Face cache" in said
    assert "weights='path/to/" in said


def test_embed_says_which_rows_it_leaves_out(seen, world, capsys):
    assert call("embed", seen, world / "some_corrupt", "--out", world / "some.parquet") == 0
    said = capsys.readouterr().out
    assert "9 of 60 rows are left out; the first: row 0" in said
    assert "51 rows" in said


def test_resuming_a_finished_run_says_so(done, capsys):
    assert call("train", "--resume", done) == 0
    assert "finished already" in capsys.readouterr().out


def test_embed_makes_the_folder_of_its_file(done, world):
    assert call("embed", done, world / "waves.npz", "--out", world / "new" / "folder" / "bank.parquet", "--quiet") == 0
    assert [p.name for p in (world / "new" / "folder").iterdir()] == ["bank.parquet"]


def test_too_many_unreadable_rows_are_refused_and_listed_and_the_flag_of_the_message_helps(world, capsys, monkeypatch):
    monkeypatch.chdir(world)
    assert call("train", "some_corrupt", *SHORT, "--out", "capped") == 2
    said = capsys.readouterr().err
    for part in (
        "9 of 60 rows",
        "accepted share of 0.01",
        "not a picture",
        "--quarantine 0.15",
        "capped/quarantine.csv",
    ):
        assert part in said
    assert said.count("\n") == 1
    assert [p.name for p in (world / "capped").iterdir()] == ["quarantine.csv"]
    assert call("train", "some_corrupt", *SHORT, "--out", "capped", "--quarantine", "0.15") == 0
    rows = list(csv.DictReader((world / "capped" / "quarantine.csv").open()))
    assert len(rows) == len(json.loads((world / "capped" / "data.json").read_text())["quarantined"]) == 9
    assert all(row["field"] == "image" and "not a picture" in row["reason"] for row in rows)


def test_one_class_trains_and_says_that_no_score_can_tell_classes_apart(world, capsys):
    words = [word for word in SHORT if word != "--quiet"]
    assert call("train", world / "one_class.npz", "--label", "label", *words, "--out", world / "one_class") == 0
    heard = capsys.readouterr()
    assert "no score can tell classes apart" in heard.out
    assert heard.err == ""


def test_rows_that_are_all_alike_are_named_as_the_cause(world, capsys):
    words = [word for word in SHORT if word != "--quiet"]
    assert call("train", world / "alike.npz", *words, "--out", world / "alike") == 0
    said = capsys.readouterr().out
    assert "It collapsed: " in said or "Too short a run: " in said or "Not evaluated: " in said
    assert "100% of the candidates are duplicates" in said


@pytest.mark.quick
def test_debug_shows_the_traceback(world):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError, match="does not exist"):
        patch.setattr(sys, "argv", ["kontrast", "train", str(world / "nowhere"), "--debug", "--out", str(world / "x")])
        cli.main()


@pytest.mark.quick
def test_no_command_shows_the_help(capsys):
    assert call() == 0
    assert "Usage: kontrast" in capsys.readouterr().out
