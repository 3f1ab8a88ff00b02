"""Training by several processes ends where training by one ends, however they were started; nobody is left waiting."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from kontrast.core.errors import UserError
from kontrast.core.ranks import on_ranks
from kontrast.layers.rank_norm import over_ranks
from kontrast.runs.folder.folder import Folder
from kontrast.runs.folder.lock import lock_folder
from kontrast.runs.folder.monitor_file import read_looks
from kontrast.runs.run import Run
from kontrast.training.launcher import launch
from tests.support.command import call
from tests.support.series import waves

pytestmark = [pytest.mark.dist, pytest.mark.timeout(600)]
SAME = ["--precision", "32", "--channels-last", "off", "--compile", "off", "--quiet"]
KONTRAST = [sys.executable, "-m", "kontrast"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "kontrast"]


def ran(*words, start=KONTRAST, **variables):
    return subprocess.run(
        [*start, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Series and texts, of which every third row misses one; encoders with batch norm and without dropout."""
    folder = tmp_path_factory.mktemp("mixed")
    g = torch.Generator().manual_seed(0)
    with (folder / "rows.jsonl").open("w") as out:
        for n in range(90):
            kind = n % 3
            wave = torch.sin(torch.arange(32) * (0.2 + 0.3 * kind)) + 0.3 * torch.randn(32, generator=g)
            row = {"wave": [round(float(v), 4) for v in wave], "words": f"a {['slow', 'middling', 'fast'][kind]} {n}"}
            if n % 5 == 0:
                row.pop("wave")
            elif n % 7 == 0:
                row.pop("words")
            out.write(json.dumps(row) + "\n")
    return folder / "rows.jsonl"


def trained(data, out, *more, start=KONTRAST, **variables):
    """The weights and losses of a run of six steps of eleven rows: never the same number on two or three ranks."""
    words = ["train", data, "--batch", 11, "--steps", 6, "--out", out, *SAME, *more]
    if "rows.jsonl" in str(data):
        words += ["--field", "wave=series", "--field", "words=text", "--encoder", "text=tokens,dropout=0"]
    done = ran(*words, start=start, **variables)
    assert done.returncode == 0, done.stderr
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    return load_file(out / "encoder" / "model.safetensors"), losses, out


@pytest.fixture(scope="module")
def one(mixed, tmp_path_factory):
    return trained(mixed, tmp_path_factory.mktemp("one") / "run")


def agree(found, wanted):
    """Adam divides by small numbers at first, so rounding shows in the weights; the losses are near to exact."""
    assert found[1] == pytest.approx(wanted[1], rel=1e-4)
    assert found[0].keys() == wanted[0].keys()
    for name, value in wanted[0].items():
        torch.testing.assert_close(found[0][name], value, rtol=1e-3, atol=3e-3, msg=name)


@pytest.mark.parametrize(
    ("more", "start"),
    [(["--devices", "3"], KONTRAST), ([], TORCHRUN), (["--devices", "2", "--strategy", "fsdp"], KONTRAST)],
    ids=["three processes", "torchrun", "fsdp"],
)
def test_several_processes_end_where_one_does(one, mixed, tmp_path, more, start):
    weights, losses, out = trained(mixed, tmp_path / "run", *more, start=start)
    agree((weights, losses), one)
    files = {file.name for file in out.iterdir()}
    assert {"report.html", "scores.json", "embeddings"} <= files
    assert "processes" in json.loads((out / "environment.json").read_text())["processes"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]  # no process made a folder of its own


def test_a_momentum_task_trains_and_is_evaluated_by_two_as_by_one(tmp_path):
    x, kinds = waves(400, length=32)
    np.savez(tmp_path / "waves.npz", x=x.astype(np.float32), kind=kinds.astype(str))
    how = ["--recipe", "moco", "--label", "kind", "--encoder", "series=tcn,hidden=8,out=16,depth=2"]
    how += ["--set", 'scores=[{"name":"knn"}]', "--set", "source.validation=0.1", "--keep", "best-by-validation"]
    runs = [trained(tmp_path / "waves.npz", tmp_path / f"by-{n}", *how, "--devices", n) for n in (1, 2)]
    agree(runs[1], runs[0])
    one, two = (Run(out) for _, _, out in runs)
    assert len(one.embeddings("untrained-train")) > 256  # more than one process embeds at once
    for name in ("untrained-train", "untrained-test", "raw-test"):
        assert np.array_equal(one.embeddings(name).z["x"], two.embeddings(name).z["x"])
    starts = [read_looks(run.path)[0]["values"] for run in (one, two)]
    assert starts[0] == starts[1]
    assert len(read_looks(two.path)) == 2
    assert [round(row["trained"]["value"], 2) for row in one.scores] == [
        round(row["trained"]["value"], 2) for row in two.scores
    ]


def test_a_run_begun_by_two_goes_on_with_one_to_the_same_end(one, mixed, tmp_path):
    out = tmp_path / "run"
    words = [
        "train",
        mixed,
        "--batch",
        11,
        "--steps",
        6,
        "--out",
        out,
        *SAME,
        "--devices",
        2,
        "--set",
        "plan.checkpoint=0",
    ]
    words += ["--field", "wave=series", "--field", "words=text", "--encoder", "text=tokens,dropout=0"]
    process = subprocess.Popen(
        [*KONTRAST, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 200
    while not list(out.glob("checkpoints/*.safetensors")) and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: all processes of the group hear it
    _, told = process.communicate(timeout=120)
    if process.returncode == 0:
        pytest.skip("it was done before the signal came")
    assert process.returncode == 128 + signal.SIGINT
    assert told.count("continue with: kontrast train --resume") == 1, told  # said once, not by each process
    assert "Traceback" not in told
    done = ran("train", "--resume", out, "--quiet")
    assert done.returncode == 0, done.stderr
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    agree((load_file(out / "encoder" / "model.safetensors"), losses), one)


@pytest.mark.parametrize("more", [[], ["--devices", "2"], ["--devices", "2", "--strategy", "fsdp"]])
def test_a_run_of_pictures_in_channels_last_goes_on_bit_for_bit(tmp_path, more):
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", image=draw.integers(0, 255, (32, 16, 16, 3), dtype=np.uint8))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    words = ["train", tmp_path / "rows.npz", "--batch", 16, "--steps", 3, "--channels-last", "on", "--precision", "32"]
    words += ["--encoder", "image=resnet,base=8,thin=8", "--set", "plan.checkpoint=0", "--set", 'scores=["knn"]']
    go = ran if more else lambda *words: subprocess.CompletedProcess(words, call(*words), stderr="")
    done = go(*words, *more, "--out", whole, "--quiet")
    assert done.returncode == 0, done.stderr
    shutil.copytree(whole, cut)
    shutil.rmtree(cut / "encoder")
    for name in ("scores.json", "report.html", "checkpoints/000000003.safetensors", "checkpoints/000000003.sha256"):
        (cut / name).unlink()
    done = go("train", "--resume", cut, *more, "--quiet")
    assert done.returncode == 0, done.stderr
    files = [run / "encoder" / "model.safetensors" for run in (whole, cut)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
def test_a_killed_worker_ends_the_run_in_one_sentence_and_it_can_be_resumed(mixed, tmp_path):
    out = tmp_path / "run"
    words = ["train", mixed, "--batch", 11, "--steps", 4000, "--out", out, *SAME, "--devices", 2]
    words += ["--field", "wave=series", "--field", "words=text", "--set", "plan.checkpoint=0"]
    process = subprocess.Popen(
        [*KONTRAST, *map(str, words)], env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 200
    while not list(out.glob("checkpoints/*.safetensors")) and time.monotonic() < end:
        time.sleep(0.05)
    (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGKILL
    assert told == (
        f"kontrast: process 2 of 2 was killed by signal 9, and the run ended with it; continue with: kontrast train "
        f"--resume {out}\n"
    )
    assert Folder(out).newest_checkpoint() is not None
    with lock_folder(out, "a test"):  # nobody holds it any more
        pass


def test_what_the_first_process_finds_wrong_ends_all_with_one_message(tmp_path):
    (tmp_path / "rows.csv").write_text("photo\n" + "missing.png\n" * 20)
    began = time.monotonic()
    done = ran("train", tmp_path / "rows.csv", "--field", "photo=image", "--devices", 2, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.count("kontrast:") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 100
    assert not (tmp_path / "run").exists()


def test_several_processes_are_told_once_that_another_writes_to_the_run(one, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(one[2], out)
    (out / "scores.json").unlink()  # not finished
    before = (out / "metrics.jsonl").read_bytes()
    with lock_folder(out, "a test"):
        done = ran("train", "--resume", out, "--devices", 2)
    assert done.returncode == 2
    assert done.stderr.count(f"process {os.getpid()}") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert (out / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("device", "devices", "nodes", "words"),
    [("mps", 2, 1, "MPS is one device"), ("cuda:1", 2, 1, "names one device"), ("cpu", 1, 0, "1 or more of each")],
)
def test_devices_that_cannot_be_are_refused_in_words(device, devices, nodes, words):
    with pytest.raises(UserError, match=words):
        launch(torch.device(device), devices, nodes, "ddp")


class Net(nn.Module):
    """Norms of one, two and, as timm has them, with an activation inside."""

    def __init__(self):
        from timm.layers.norm_act import BatchNormAct2d

        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(2, 5, 3), BatchNormAct2d(5), nn.Conv2d(5, 4, 1), nn.BatchNorm2d(4))
        self.flat = nn.Sequential(nn.Linear(4 * 9, 6), nn.BatchNorm1d(6, momentum=None))

    def forward(self, x):
        return self.flat(self.maps(x).flatten(1))


def _net():
    torch.manual_seed(0)
    return Net().double()


def _images():
    return torch.randn(9, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def _normed(ranks, cuts):
    """Two steps on this rank's rows: outputs, gradients of sums of squares, and what the norms remember."""
    net, x = over_ranks(_net(), torch.device("cpu")), _images()[cuts[ranks.rank] : cuts[ranks.rank + 1]]
    for _ in range(2):
        out = net(x)
    (out.square() * torch.arange(6)).sum().backward()
    grads = {name: ranks.sum(p.grad) for name, p in net.named_parameters()}
    return out.detach(), grads, net.state_dict()


@pytest.mark.parametrize("cuts", [[0, 4, 9], [0, 9, 9], [0, 1, 7, 9]])
def test_norms_over_ranks_are_those_of_the_whole_batch_even_where_a_rank_has_no_row(cuts):
    net = _net()
    for _ in range(2):
        out = net(_images())
    (out.square() * torch.arange(6)).sum().backward()
    parts = on_ranks(_normed, len(cuts) - 1, cuts)
    torch.testing.assert_close(torch.cat([part[0] for part in parts]), out.detach())
    for _, grads, state in parts:
        torch.testing.assert_close(grads, {name: p.grad for name, p in net.named_parameters()})
        torch.testing.assert_close(state, dict(net.state_dict()))
