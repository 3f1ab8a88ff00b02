"""What a stranger, an odd file system or a mistyped path may do to a user: nothing is lost, nothing runs unasked."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kontrast.core import registry
from kontrast.core.atomic_files import atomic_write, writable
from kontrast.core.errors import UserError
from kontrast.data.schema import file_tree
from kontrast.modalities.text.text import Text
from kontrast.runs.run import Run
from kontrast.search.index import Index
from kontrast.training.clock import Clock, watched
from tests.support.command import call
from tests.support.places import ROOT
from tests.support.series import waves

pytestmark = pytest.mark.slow

SMALL = ["--batch", 8, "--steps", 1, "--encoder", "series=tcn,hidden=8,out=8,depth=2", "--set", 'scores=["knn"]']


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Rows, a run with an index, and what is no regular file."""
    folder = tmp_path_factory.mktemp("world")
    np.savez(folder / "rows.npz", series=waves(24, length=16)[0].astype("f4"), label=np.arange(24) % 3)
    assert call("train", folder / "rows.npz", *SMALL, "--quiet", "--out", folder / "run") == 0
    assert call("index", folder / "run", "--quiet") == 0
    (folder / "file").write_text("mine")
    (folder / "link").symlink_to("file")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    return folder


def refused(capsys, *words):
    capsys.readouterr()
    assert call(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("kontrast: "), said
    assert said.count("\n") == 1, said
    return said


# ---- what is written


@pytest.mark.parametrize(
    ("name", "found"), [("link", "a link"), ("dangling", "a link"), ("pipe", "a pipe"), ("/dev/null", "a device")]
)
def test_only_regular_files_are_replaced(world, capsys, name, found):
    target, made = world / name, os.lstat(world / name)
    with pytest.raises(UserError, match=f"it is {found}, and only a regular file is replaced"), atomic_write(target):
        raise AssertionError
    assert f"it is {found}" in refused(capsys, "embed", world / "run", world / "rows.npz", "--out", target)
    assert f"it is {found}" in refused(capsys, "compare", world / "run", world / "run", "--html", target)
    assert os.lstat(target).st_mode == made.st_mode
    assert (world / "file").read_text() == "mine"
    assert str(target) in refused(capsys, "train", world / "rows.npz", *SMALL, "--out", target)
    assert str(target) in refused(capsys, "export", world / "run", "--to", "state-dict", "--out", target)


def test_a_socket_is_no_regular_file_and_neither_is_what_lies_where_a_file_is_written_aside(tmp_path):
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket"))
        with pytest.raises(UserError, match="it is a socket"):
            writable(tmp_path / "socket")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "new.part").symlink_to("mine")
    with pytest.raises(UserError, match=r"new\.part: it is a link"), atomic_write(tmp_path / "new"):
        raise AssertionError
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_a_path_without_a_name_is_no_place_to_write_to(world, tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    run, rows = world / "run", world / "rows.npz"
    for words in (
        ["train", rows, *SMALL],
        ["embed", run, rows],
        ["doctor", rows],
        ["export", run, "--to", "state-dict"],
        ["replay", run],
    ):
        assert "names no place to write to" in refused(capsys, *words, "--out", name), words
    assert "names no place to write to" in refused(capsys, "compare", run, run, "--html", name)
    assert not any(tmp_path.iterdir())


def test_a_pipe_in_a_run_folder_is_not_waited_for(world, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(world / "run", run)
    (run / "experiment.json").unlink()
    os.mkfifo(run / "experiment.json")
    assert "it had written its settings" in refused(capsys, "report", run)
    os.mkfifo(tmp_path / "pipe")
    from kontrast.core import untrusted_json

    with pytest.raises(UserError, match="is no regular file"):
        untrusted_json.text(tmp_path / "pipe")


# ---- names that are not UTF-8


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_pictures_whose_names_are_not_utf8_are_trained_on_and_found(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for n in range(20):
        place = os.fsencode(tmp_path) + b"/pictures/" + (b"caf\xe9", b"bar")[n % 2]
        os.makedirs(place, exist_ok=True)
        pixels = np.random.default_rng(n).integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(os.fsdecode(place + b"/\xfc%d.png" % n))
    words = ["--batch", 8, "--steps", 1, "--encoder", "image=resnet,base=8,thin=8", "--label", "label", "--quiet"]
    assert call("train", "pictures", *words, "--out", "run") == 0
    bank = Run(Path("run")).embeddings("trained-train")
    assert all(one.split("/")[1].startswith("\\xfc") for one in bank.ids)
    assert set(bank.labels) <= {"caf\\xe9", "bar"}
    assert call("replay", "run", "--out", "again", "--quiet") == 0
    assert "is not UTF-8" in refused(capsys, "train", "pictures", *words, "--out", os.fsdecode(b"r\xe9"))
    assert "is not UTF-8" in refused(capsys, "report", os.fsdecode(b"r\xe9"))
    os.rename("run/report.html", os.fsdecode(b"rows\xe9.csv"))
    assert "the name of a file is not UTF-8" in refused(capsys, "train", os.fsdecode(b"rows\xe9.csv"), "--quiet")


def test_what_a_cell_spells_is_found_again_and_never_leads_elsewhere(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / name).write_bytes(b"")
    assert file_tree.encode_name(name) == "caf\\xe9.png"
    assert file_tree.locate(tmp_path, "caf\\xe9.png") == tmp_path / name
    (tmp_path / "caf\\xe9.png").write_bytes(b"")  # a file that is really called so
    assert file_tree.locate(tmp_path, "caf\\xe9.png") == tmp_path / "caf\\xe9.png"
    assert file_tree.locate(tmp_path, "\\x2e\\x2e\\x2fsecret") == tmp_path / "\\x2e\\x2e\\x2fsecret"


# ---- code


CODE = """
from pathlib import Path
from kontrast.core.experiment import Choice, Experiment
from kontrast.core.task_choice import one_task
from kontrast.tasks.contrastive.simclr import SimCLR
from kontrast.tasks.task import Task
from kontrast.losses.contrastive_loss import ContrastiveLoss

def ran(*_, **__):
    Path("ran").touch()

def experiment() -> Experiment:
    return Experiment(tasks=one_task("simclr"))

def unsaid():
    ran()

class Loss(ContrastiveLoss):
    def __init__(self):
        ran()

class Loose:
    def __init__(self, **_):
        ran()

class Mine(Task):
    max_fields = 1
    def __init__(self, encoders, *, temperature: float = 0.2):
        super().__init__()
        self.own = SimCLR(encoders)
    def views(self): return self.own.views()
    def forward(self, encoders, batch): return self.own(encoders, batch)
    def compute_loss(self, out, ranks): return self.own.compute_loss(out, ranks)
    def positive_pairs(self, out): return self.own.positive_pairs(out)
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A user's own code in the working folder."""
    (tmp_path / "attack_lab.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("attack_lab", None)


@pytest.mark.parametrize(
    ("room", "name", "words"),
    [
        ("recipes", "attack_lab:ran", "no function `experiment"),
        ("recipes", "attack_lab:unsaid", "no function `experiment"),
        ("recipes", "os:getcwd", "no function `experiment"),
        ("losses", "attack_lab:Loose", "no class that derives from a contract of kontrast"),
        ("losses", "attack_lab:ran", "no class that derives"),
        ("encoders", "attack_lab:Loss", r"no class that derives from a contract of kontrast \(Encoder\)"),
        ("tasks", "attack_lab:Loss", r"contract of kontrast \(Task"),
    ],
)
def test_what_is_named_meets_the_contract_before_anything_of_it_is_called(lab, room, name, words):
    with pytest.raises(UserError, match=words):
        registry.load(room, name)
    assert not (lab / "ran").exists()


def test_own_code_that_meets_the_contract_is_used(lab):
    assert registry.load("recipes", "attack_lab:experiment")().names == "simclr"
    assert registry.load("losses", "attack_lab:Loss").__name__ == "Loss"
    assert registry.load("tasks", "attack_lab:Mine").__name__ == "Mine"


def test_code_named_by_a_run_folder_is_run_only_if_trusted(world, lab, capsys):
    rows = world / "rows.npz"
    assert call("train", rows, *SMALL, "--set", 'method={"name": "attack_lab:Mine"}', "--quiet", "--out", "own") == 0
    for words in (["embed", "own", rows], ["report", "own"], ["replay", "own"], ["train", "--resume", "own"]):
        sys.modules.pop("attack_lab", None)
        said = refused(capsys, *words, "--quiet") if words[0] != "report" else refused(capsys, "evaluate", "own", rows)
        assert "names code, 'attack_lab:Mine'" in said
        assert "--trust-code" in said
        assert "attack_lab" not in sys.modules
    assert call("embed", "own", rows, "--trust-code", "--quiet") == 0
    assert call("replay", "own", "--trust-code", "--quiet", "--out", "again") == 0
    (lab / "own" / "scores.json").unlink()
    assert call("train", "--resume", "own", "--trust-code", "--quiet") == 0


def test_code_named_by_an_index_is_run_only_if_trusted(world, tmp_path):
    shutil.copytree(world / "run" / "index", tmp_path / "index")
    file = tmp_path / "index" / "index.json"
    facts = json.loads(file.read_text())
    facts["engine"]["name"] = "attack_nowhere:Engine"
    file.write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"names code, 'attack_nowhere:Engine'.*--trust-code"):
        Index.open(tmp_path / "index")


# ---- deleting


def test_deleting_everything_needs_a_yes(world, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(world / "run", run)
    before = len(Index.open(run / "index"))
    assert "empty filter" in refused(capsys, "index", run, "--delete", " ")
    for every in ("label <> 'none'", "id IS NOT NULL"):
        assert f"describes all {before} records" in refused(capsys, "index", run, "--delete", every)
    assert len(Index.open(run / "index")) == before
    assert call("index", run, "--delete", "label = '1'", "--quiet") == 0
    assert 0 < len(Index.open(run / "index")) < before
    assert call("index", run, "--delete", "id IS NOT NULL", "--yes", "--quiet") == 0
    assert len(Index.open(run / "index")) == 0


# ---- converters


@pytest.mark.parametrize("raised", [SystemExit(0), KeyError("no such operator"), RuntimeError("line one\nline two")])
def test_whatever_a_converter_raises_is_one_sentence_and_no_success(world, tmp_path, capsys, monkeypatch, raised):
    def convert(self, subject, folder):
        (folder / "half").write_text("")
        raise raised

    monkeypatch.setattr("kontrast.exports.state_dict.StateDict.write", convert)
    said = refused(capsys, "export", world / "run", "--to", "state-dict", "--out", tmp_path / "out")
    assert f"state-dict: this run cannot be exported in this format ({type(raised).__name__}" in said
    assert not any(tmp_path.iterdir())


# ---- time


def test_one_cell_of_two_hundred_thousand_letters_takes_linear_time():
    draw = np.random.default_rng(0)
    few = [f"some words about {n} things and more" for n in range(50)]

    def seconds(letters):
        cell = "".join(draw.choice(list("abcdefgh"), letters))
        text = Text()
        began = time.process_time()
        text.fit([text.read(one, Path()) for one in [*few, cell]])
        text.pack(text.read(cell, Path()))
        return time.process_time() - began

    seconds(1000)
    assert seconds(200_000) < 16 * max(seconds(50_000), 0.05)  # the square of four times as much
    assert seconds(200_000) < 15


def test_a_clock_stands_still_while_the_process_is_stopped():
    code = (
        "import os, sys, time\nfrom kontrast.training.clock import watched\n"
        "with watched() as clock:\n"
        "    began, wall = clock.now(), time.perf_counter()\n"
        "    print('ready', flush=True)\n"
        "    while time.perf_counter() - wall < 4.5: time.sleep(0.05)\n"
        "    print(clock.now() - began, time.perf_counter() - wall)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        process.send_signal(signal.SIGCONT)
        counted, wall = map(float, process.stdout.readline().split())
    assert 2 < wall - counted < 3.6


def test_a_clock_without_pauses_counts_all_and_elsewhere_too():
    with watched() as clock:
        began, wall = clock.now(), time.perf_counter()
        os.kill(os.getpid(), signal.SIGCONT)  # without a stop before it
        time.sleep(0.6)
        assert abs((clock.now() - began) - (time.perf_counter() - wall)) < 0.4
    found = []
    thread = threading.Thread(target=lambda: found.append(watched().__enter__()))
    thread.start()
    thread.join()
    assert isinstance(found[0], Clock)
