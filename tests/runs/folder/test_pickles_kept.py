"""No pickle is ever loaded from a run folder or a model, nor code that lies there: both are planted everywhere."""

import inspect
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import kontrast
from kontrast.core import factory
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.data.sources.open_source import open_frame
from kontrast.evaluation.usual import evaluators
from kontrast.exports.compressed import Compressed
from kontrast.reporting.logger import NullLogger
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from kontrast.runs.pipeline.held_pairs import after, before
from tests.support.planting import MARK, pickled, torch_saved, unmarked
from tests.support.settings import FAST

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _unmarked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with unmarked():
        yield


# ---- what a run keeps


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    words = ["red coat", "blue shoe", "green hat", "big red shoe", "small blue hat"]
    lines = [f"{n},{words[n % 5]} {n % 7},{'ab'[n % 2]}" for n in range(40)]
    (place / "x.csv").write_text("id,text,label\n" + "\n".join(lines) + "\n")
    run = kontrast.train(place / "x.csv", steps=2, settings=FAST, out=place / "run", device="cpu")
    run.index(engine="faiss")
    (tables,) = (place / "run" / "index").glob("tables-*")
    assert [file.suffix for file in sorted(tables.iterdir())] == [".faiss", ".parquet"]
    return run.path


def ask(path, trust=False):
    """Everything that reads files of a run."""
    run = kontrast.load(path, trust_code=trust)
    return {
        "model": lambda: Model.load(Folder(path, trusts=trust)),
        "embed": lambda: run.embed(path.parent / "x.csv"),
        "bank": run.embeddings,
        "search": lambda: run.search("red"),
        "report": run.report,
        "card": run._repr_html_,
        "checkpoint": Folder(path).newest_checkpoint,
        "score": lambda: run.evaluate(path.parent / "x.csv", logger=NullLogger()),
        "judges": lambda: evaluators(run.experiment),
        "before": lambda: before(Folder(path)),
        "after": lambda: after(Folder(path)),
        "experiment": lambda: run.experiment,
    }


def readers_of(pattern):
    return {
        "encoder/model.safetensors": ("model", "embed", "search"),
        "encoder/tasks.safetensors": ("model", "embed", "search"),
        "encoder/modalities.json": ("model", "embed"),
        "encoder/targets.json": ("model", "embed"),
        "trained_on.safetensors": ("score",),
        "embeddings/*.parquet": ("bank", "report", "card"),
        "embeddings/untrained-pairs.safetensors": ("before",),
        "embeddings/trained-pairs.safetensors": ("after",),
        "checkpoints/*.safetensors": ("checkpoint",),
        "index/index.json": ("search",),
        "index/tables-*/*.faiss": ("search",),
        "index/tables-*/*.parquet": ("search",),
        "experiment.json": ("experiment", "model"),
        "scores.json": ("report", "card"),
        "samples.json": ("report", "card"),
        "data.json": ("report",),
        "environment.json": ("report",),
    }[pattern]


@pytest.mark.parametrize("made", [pickled, torch_saved])
@pytest.mark.parametrize(
    "pattern",
    [
        *("encoder/model.safetensors", "encoder/tasks.safetensors", "encoder/modalities.json"),
        *("encoder/targets.json",),
        *("trained_on.safetensors", "embeddings/*.parquet", "embeddings/untrained-pairs.safetensors"),
        "embeddings/trained-pairs.safetensors",
        *("checkpoints/*.safetensors", "index/index.json", "index/tables-*/*.faiss", "index/tables-*/*.parquet"),
        *("experiment.json", "scores.json", "samples.json", "data.json", "environment.json"),
    ],
)
def test_no_file_of_a_run_is_loaded_as_a_pickle(finished, tmp_path, pattern, made):
    import hashlib

    path = tmp_path / "run"
    shutil.copytree(finished, path)
    shutil.copy(finished.parent / "x.csv", tmp_path / "x.csv")
    files = list(path.glob(pattern))
    assert files
    for file in files:
        file.write_bytes(made())
        if file.with_suffix(".sha256").exists():
            file.with_suffix(".sha256").write_text(hashlib.sha256(made()).hexdigest())
    for name in readers_of(pattern):
        with pytest.raises(UserError) as refused:
            ask(path)[name]()
        assert "\n" not in str(refused.value)


def test_every_file_of_a_run_is_covered_or_never_read_as_more_than_text(finished):
    read = {
        re.sub(r"[0-9a-f]{8,}|(raw|trained|untrained)-(train|test)", "", str(f.relative_to(finished)))
        for f in finished.rglob("*")
        if f.is_file()
    }
    known = {
        *(
            "embeddings/.parquet",
            "embeddings/untrained-pairs.safetensors",
            "embeddings/trained-pairs.safetensors",
            "checkpoints/.safetensors",
            "checkpoints/.sha256",
        ),
        *("data.json", "encoder/modalities.json", "encoder/model.safetensors", "encoder/targets.json"),
        *("encoder/tasks.safetensors", "messages.jsonl"),  # the latter is read as text, line by line
        *("environment.json", "experiment.json", "index/index.json", "metrics.jsonl"),
        *("index/tables-/space0.parquet", "index/tables-/space0-.faiss", "report.html", "samples.json", "scores.json"),
        *("trained_on.safetensors", ".lock"),  # the lock is empty, and never read
    }
    assert read == known, "a new file of a run: say above what a pickle in its place does"


def test_a_lancedb_table_is_no_pickle(finished, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    kontrast.load(path).index(engine="lancedb")
    for file in (path / "index").rglob("*.lance"):
        if file.is_file():
            file.write_bytes(pickled())
    with pytest.raises(Exception) as refused:
        kontrast.load(path).search("red")
    assert isinstance(refused.value, UserError)


def test_a_compressed_bank_is_no_pickle(tmp_path):
    (tmp_path / "c.parquet").write_bytes(pickled())
    for reads in (Compressed.load, EmbeddingTable.load):
        with pytest.raises(UserError):
            reads(tmp_path / "c.parquet")


# ---- pretrained models


def test_a_text_model_with_pickled_weights_alone_is_refused(tmp_path):
    from kontrast.encoders.transformer import Transformer

    folder = tmp_path / "model"
    folder.mkdir()
    shape = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    (folder / "config.json").write_text(json.dumps({**shape, "intermediate_size": 8, "vocab_size": 9}))
    (folder / "pytorch_model.bin").write_bytes(torch_saved())
    with pytest.raises(UserError, match="safetensors"):
        Transformer(model=str(folder))
    (folder / "model.safetensors").write_bytes(torch_saved())
    with pytest.raises(UserError):
        Transformer(model=str(folder))


def test_no_code_of_a_model_s_folder_is_run(tmp_path):
    from kontrast.encoders.transformer import Transformer

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(MARK)!r}).touch()\n")
    said = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(said))
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}}))
    for made in (lambda: Transformer(model=str(folder)), lambda: Transformer(model=str(folder), weights=False)):
        with pytest.raises(UserError):
            made()
    text = factory.build("modalities", "text", {"tokenizer": str(folder)})
    with pytest.raises(UserError):
        text.fit([np.array(["a b"], dtype=object)])


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "tokenizer_config.json"])
def test_a_pickled_tokenizer_is_refused(tmp_path, name):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / name).write_bytes(pickled())
    text = factory.build("modalities", "text", {"tokenizer": str(tmp_path)})
    with pytest.raises(UserError):
        text.fit([np.array(["a b"], dtype=object)])


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin", "w.pth", "w.npz"])
@pytest.mark.parametrize("made", [pickled, torch_saved])
def test_pickled_weights_of_an_image_model_are_refused(tmp_path, name, made):
    from kontrast.encoders.timm import Timm

    (tmp_path / name).write_bytes(made())
    with pytest.raises(UserError, match=r"safetensors|cannot be built"):
        Timm(model="resnet10t", weights=str(tmp_path / name))


# ---- code that a file names


def named(path, tmp_path, change):
    """A copy of the run whose experiment.json is changed."""
    copy = tmp_path / "sent"
    shutil.copytree(path, copy)
    tree = json.loads((copy / "experiment.json").read_text())
    change(tree)
    (copy / "experiment.json").write_text(json.dumps(tree))
    return copy


@pytest.mark.parametrize(
    "choice",
    [
        {"name": "os:system", "command": f"touch {MARK}"},
        {"name": "pathlib:Path.touch"},
        {"name": "subprocess:Popen", "args": ["touch", str(MARK)]},
        {"name": "builtins:exec", "source": f"open('{MARK}', 'w')"},
        {"name": "runpy:run_path", "path_name": "evil.py"},
        {"name": "torch:load", "f": "evil.pt"},
    ],
)
@pytest.mark.parametrize("where", ["tasks", "encoders", "views", "scores"])
def test_a_stranger_s_experiment_calls_nothing_but_what_was_written_for_kontrast(finished, tmp_path, choice, where):
    def change(tree):
        if where == "tasks":
            tree["tasks"]["contrast"] = choice
        elif where == "scores":
            tree["scores"] = [choice]
        else:
            tree[where]["text"] = choice

    (tmp_path / "evil.py").write_text(f"open('{MARK}', 'w')")
    (tmp_path / "evil.pt").write_bytes(torch_saved())
    sent = named(finished, tmp_path, change)
    shutil.copy(finished.parent / "x.csv", tmp_path / "x.csv")
    reader = "judges" if where == "scores" else "model"
    with pytest.raises(UserError, match=r"--trust-code|cannot load"):
        ask(sent)[reader]()
    with pytest.raises(UserError, match=r"contract of kontrast|cannot load|no setting"):
        ask(sent, trust=True)[reader]()  # trusted, it still has to be what it is used for


def test_an_index_that_was_sent_names_no_code_and_no_place(finished, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    path = tmp_path / "sent"
    shutil.copytree(finished, path)
    file = path / "index" / "index.json"
    whole = json.loads(file.read_text())
    for change in (
        {"tables": "../../precious"},
        {"tables": str(precious)},
        {"engine": {"name": "os:system", "settings": {"command": f"touch {MARK}"}}},
        {"spaces": [{**whole["spaces"][0], "table": "../../precious/thesis"}]},
    ):
        file.write_text(json.dumps(whole | change))
        with pytest.raises(UserError):
            kontrast.load(path).search("red")
        kontrast.load(path).index(engine="faiss")  # which removes what it replaces
    assert (precious / "thesis.tex").read_text() == "years of work"


def test_code_inside_of_a_run_folder_is_never_imported(finished, tmp_path, monkeypatch):
    sent = named(finished, tmp_path, lambda tree: tree.update(tasks={"contrast": {"name": "inner:Method"}}))
    source = f"from pathlib import Path\nPath({str(tmp_path / MARK)!r}).touch()\n"
    (sent / "inner.py").write_text(source)
    (sent / "encoder" / "inner.py").write_text(source)
    for place in (sent, sent / "encoder"):
        monkeypatch.chdir(place)
        with pytest.raises(UserError, match="--trust-code"):
            Model.load(Folder.existing(Path("." if place == sent else "..")))
    assert not (tmp_path / MARK).exists()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cannot load task 'inner:Method'"):  # from elsewhere it is not found
        Model.load(Folder(sent, trusts=True))


def test_nothing_of_kontrast_unpickles():
    words = re.compile(
        r"pickle\.loads?\(|torch\.load\(|joblib\.load|allow_pickle=True|weights_only=False|trust_remote_code=True"
    )
    house = Path(inspect.getfile(kontrast)).parent
    found = {file.relative_to(house).as_posix() for file in house.rglob("*.py") if words.search(file.read_text("utf8"))}
    # Through pipes between processes that the user's own script starts, and of an object that was just made.
    assert found == {"core/ranks.py", "checks/check.py"}


def test_a_zip_of_pickles_named_like_arrays_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as made:
        made.writestr("X.npy", pickled())
        made.writestr("y.pkl", pickled())
    with pytest.raises(UserError):
        open_frame(tmp_path / "x.npz", cache=None)
