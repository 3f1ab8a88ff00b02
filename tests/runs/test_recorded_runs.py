"""Run folders of an earlier version load, embed, score, search, resume and export as they did when they were recorded.

The records lie in fixtures/runs, made once by scripts/record_runs.py; no later version writes into them. Numbers are
compared with a tolerance, for processors round differently.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import kontrast as kt
from tests.support.command import call
from tests.support.places import ROOT

# Names of the version that recorded them are told as old ones; that they still work is what is tested here.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::kontrast.core.renamed.OldName")]

RECORDS = ROOT / "tests" / "fixtures" / "runs"
sys.path.insert(0, str(ROOT / "scripts"))

import record_runs  # noqa: E402

EXPECTED = json.loads((RECORDS / "expected.json").read_text(encoding="utf8"))
TRIALS = {name: json.loads((RECORDS / "experiments" / f"{name}.json").read_text()) for name in EXPECTED["experiments"]}
# Embeddings may differ by rounding, losses and scores, which add many of them up, by a little more.
NEAR, ABOUT = {"rtol": 0, "atol": 1e-4}, {"rtol": 1e-3, "atol": 1e-3}


def names(value):
    """Every part that an experiment names: its loss, kernel, relations, encoder ..."""
    if isinstance(value, dict):
        yield from (value[key] for key in ("name", "relation") if isinstance(value.get(key), str))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from names(part)


def telling():
    """Those trials that together name every part, some parts of each for the first time."""
    known = set()
    for name, trial in sorted(TRIALS.items(), key=lambda item: -len(set(names(item[1])))):
        if set(names(trial)) - known:
            known |= set(names(trial))
            yield name


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("recorded")


@pytest.fixture
def at(place, request):
    """The name of a run; the test is where its data lies."""
    name = getattr(request, "param", "series")
    pytest.importorskip("lancedb" if name not in ("series", "mixed") else "faiss")
    with record_runs.unpacked(RECORDS, place, name):
        yield name


every_run = pytest.mark.parametrize("at", list(EXPECTED["runs"]), indirect=True)


def same(answer, recorded):
    """The same rows with about the same numbers."""
    assert answer["ids"] == recorded["ids"]
    assert answer["labels"] == recorded["labels"]
    assert list(answer["embeddings"]) == list(recorded["embeddings"])
    for field, z in recorded["embeddings"].items():
        np.testing.assert_allclose(answer["embeddings"][field], z, **NEAR)
    same_rows(answer["found"], recorded["found"])


def same_rows(found, recorded):
    assert [row for row, _ in found] == [row for row, _ in recorded]
    np.testing.assert_allclose([near for _, near in found], [near for _, near in recorded], **NEAR)


@every_run
def test_a_finished_run_answers_as_it_did(at):
    recorded, run = EXPECTED["runs"][at], kt.load(f"{at}/finished")
    assert run.verdict["state"] == recorded["verdict"]
    np.testing.assert_allclose(record_runs.numbers(run.scores), recorded["kept scores"], rtol=1e-6)
    same(record_runs.measured(at, run.path), recorded)
    np.testing.assert_allclose(record_runs.scored(at, run.path), recorded["scores"], **ABOUT)


@every_run
def test_a_stopped_run_goes_on_to_the_end_it_would_have_had(at):
    recorded, path = EXPECTED["runs"][at], Path(at, "stopped")
    np.testing.assert_allclose(record_runs.losses(path), recorded["stopped"], rtol=1e-6)
    assert call("train", "--resume", path, "--quiet") == 0
    np.testing.assert_allclose(record_runs.losses(path), recorded["losses"], **ABOUT)
    run = kt.load(path)
    np.testing.assert_allclose(record_runs.numbers(run.scores), recorded["kept scores"], **ABOUT)
    run.index()  # anew, by the engine that is usual
    same(record_runs.measured(at, path), recorded)


@every_run
def test_the_weights_that_are_exported_are_those_that_were(at):
    before = [load_file(file) for file in sorted(Path(at, "finished", "exports", "state-dict").glob("*.safetensors"))]
    assert before
    assert call("export", f"{at}/finished", "--to", "state-dict", "--out", f"{at}/weights", "--quiet") == 0
    after = [load_file(file) for file in sorted(Path(at, "weights").glob("*.safetensors"))]
    for one, two in zip(before, after, strict=True):  # by whatever names, in whatever order
        assert sorted(one[name].tobytes() for name in one) == sorted(two[name].tobytes() for name in two)


def unit(z):
    return np.asarray(z) / np.linalg.norm(z, axis=-1, keepdims=True)


def test_a_recorded_run_becomes_the_same_graph(at):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert call("export", f"{at}/finished", "--to", "onnx", "--out", f"{at}/graph", "--quiet") == 0
    graph = runtime.InferenceSession(str(next(Path(at, "graph").rglob("*.onnx"))), providers=["CPUExecutionProvider"])
    x = np.load("data/series.npz")["series"][: record_runs.SHOWN, :, None]
    (z,) = graph.run(None, {graph.get_inputs()[0].name: x})
    np.testing.assert_allclose(z, unit(EXPECTED["runs"][at]["embeddings"]["series"]), **NEAR)


@pytest.mark.parametrize("at", ["texts"], indirect=True)
def test_a_recorded_run_becomes_the_same_modules_and_model_folder(at):
    from tokenizers import Tokenizer

    recorded = EXPECTED["runs"][at]["embeddings"]["text"]
    for target in ("sentence-transformers", "hub"):
        assert call("export", f"{at}/finished", "--to", target, "--out", f"{at}/{target}", "--quiet") == 0
    made = Path(
        at, "sentence-transformers"
    )  # a mean of vectors, LayerNorm, unit length; without a library's long start
    coder = Tokenizer.from_file(str(made / "0_StaticEmbedding" / "tokenizer.json"))
    (vectors,) = load_file(made / "0_StaticEmbedding" / "model.safetensors").values()
    norm = load_file(made / "1_LayerNorm" / "model.safetensors")
    lines = Path("data/texts.csv").read_text(encoding="utf8").splitlines()[1 : 1 + record_runs.SHOWN]
    z = np.stack([vectors[coder.encode(line.split(",")[0]).ids].mean(0) for line in lines])
    z = (z - z.mean(1, keepdims=True)) / z.std(1, keepdims=True) * norm["norm.weight"] + norm["norm.bias"]
    np.testing.assert_allclose(unit(z), unit(recorded), atol=1e-3)
    z = kt.load(f"{at}/hub").embed("data/texts.csv").z["text"][: record_runs.SHOWN]
    np.testing.assert_allclose(z, recorded, **NEAR)


@pytest.mark.parametrize("at", ["series", "texts"], indirect=True)
def test_rows_are_added_to_a_recorded_index_and_taken_out(at, tmp_path):
    path, recorded = tmp_path / "run", EXPECTED["runs"][at]["found"]
    shutil.copytree(Path(at, "finished"), path)
    data, _, query = record_runs.RUNS[at]
    nearest = recorded[0][0]
    assert call("index", path, "--delete", f"id = '{nearest}'", "--quiet") == 0
    assert nearest not in [row for row, _ in record_runs.found(kt.load(path), query)]
    assert call("index", path, data, "--add", "--quiet") == 0
    same_rows(record_runs.found(kt.load(path), query), recorded)


@pytest.mark.parametrize("name", TRIALS)
def test_a_recorded_experiment_is_read(tmp_path, name):
    (tmp_path / "experiment.json").write_text(json.dumps(TRIALS[name]))
    read = kt.load(tmp_path).experiment
    assert (read.seed, read.plan.steps, read.plan.batch) == (5, 2, 12)
    assert read.tasks["contrast"].task.settings["width"] == 8


@pytest.mark.parametrize("name", list(telling()))
def test_what_an_experiment_names_is_what_it_was(place, name):
    with record_runs.unpacked(RECORDS, place):
        out = Path("trials", name)
        run = kt.train(config=RECORDS / "experiments" / f"{name}.json", out=out)
    assert run.path == out
    np.testing.assert_allclose(record_runs.losses(place / out), EXPECTED["experiments"][name], **ABOUT)


@pytest.mark.parametrize("at", ["texts"], indirect=True)
def test_the_commands_take_a_recorded_run(at, capsys):
    data, _, query = record_runs.RUNS[at]
    run, recorded = f"{at}/finished", EXPECTED["runs"][at]
    assert call("embed", run, data, "--out", "bank.parquet", "--quiet") == 0
    bank = kt.EmbeddingTable.load(Path("bank.parquet"))
    np.testing.assert_allclose(bank.z["text"][: record_runs.SHOWN], recorded["embeddings"]["text"], **NEAR)
    capsys.readouterr()
    assert call("search", run, query, "--json") == 0
    hits = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    same_rows([(hit["id"], hit["similarity"]) for hit in hits], recorded["found"])
    assert call("evaluate", run, data, "--json") == 0
    np.testing.assert_allclose(record_runs.numbers(json.loads(capsys.readouterr().out)), recorded["scores"], **ABOUT)
    assert call("report", run) == 0
    assert recorded["verdict"] in Path(run, "report.html").read_text(encoding="utf8").lower()


@pytest.mark.parametrize("at", ["images"], indirect=True)
def test_a_recorded_run_is_listed_with_its_tag_and_compared(at, capsys):
    assert call("tag", f"{at}/finished") == 0
    assert "kept" in capsys.readouterr().out
    assert call("runs", at) == 0
    assert "finished" in capsys.readouterr().out
    shutil.copytree(f"{at}/finished", f"{at}/copy")
    assert call("compare", f"{at}/finished", f"{at}/copy") == 0
    assert "SAME" in capsys.readouterr().out


def test_a_recorded_run_is_replayed_from_its_folder(at):
    assert call("replay", f"{at}/finished", "--out", f"{at}/again", "--quiet") in (0, 1)  # 1: another processor
    np.testing.assert_allclose(record_runs.losses(Path(at, "again")), EXPECTED["runs"][at]["losses"], **ABOUT)
