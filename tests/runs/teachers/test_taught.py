"""Teachers of a run: embedded once by their own preprocessing, kept for a resume, pinned, and refused in words."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import kontrast as kt
from kontrast.core.errors import Interrupted, UserError
from kontrast.data.dataset.feature_store import FeatureFiles
from kontrast.reporting.logger import Logger
from kontrast.runs.model import Model
from kontrast.runs.teachers.teacher_model import teacher_of
from tests.support.command import call
from tests.support.settings import FAST
from tests.support.short_runs import Facts

pytestmark = pytest.mark.slow
N = 60
SMALL = {**FAST, "encoders.image": {"name": "resnet", "base": 4, "thin": 4}, "plan.batch": 16, "scores": []}


def rows(side=16):
    """Stripes of three directions in noise, of any side, with every third label unknown."""
    rng, kind = np.random.default_rng(0), np.arange(N) % 3
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    made = np.stack([np.sin(x), np.sin(y), np.sin(x + y)])[kind] + 0.5 * rng.standard_normal((N, side, side))
    label = np.where(np.arange(N) % 4 == 3, "", kind.astype(str))
    return {"image": (60 * made + 128).clip(0, 255).astype("uint8"), "label": label}


def train(out, tasks, steps=6, data=None, logger=None, **settings):
    given = {**SMALL, **settings}
    return kt.train(data or rows(), tasks=tasks, steps=steps, settings=given, out=out, logger=logger, device="cpu")


def losses(run):
    return [json.loads(line)["loss"] for line in (run.path / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A run of another size and other channels than the student's, as the teacher."""
    out = tmp_path_factory.mktemp("large") / "run"
    more = {"views.image": {"name": "image", "size": 24, "channels": 3}}
    return str(train(out, {"contrast": {"name": "simclr", "width": 8, "hidden": 8}}, steps=3, **more).path)


class Stop(Logger):
    """Ctrl-C after some step."""

    def moment(self, moment):
        if moment.step == 3:
            signal.raise_signal(signal.SIGINT)


def distilled(teacher, **more):
    return {"distil": {"name": "distillation", "teacher": teacher, "hidden": 8, **more}}


def table_of(run, monkeypatch, teacher, tasks, out):
    """What training was given as the teacher's key, by row."""
    found, original = {}, Model.save

    def kept(model, folder):
        found["facts"] = model.facts
        original(model, folder)

    from kontrast.runs.pipeline import pipeline

    before = pipeline.with_teachers

    def looked(*given):
        data = before(*given)
        found["data"] = data
        return data

    monkeypatch.setattr(Model, "save", kept)
    monkeypatch.setattr(pipeline, "with_teachers", looked)
    run(out, tasks)
    return found


def test_a_run_teaches_by_its_own_preprocessing_and_its_embeddings_are_computed_once(tmp_path, large, monkeypatch):
    facts = Facts()
    found = table_of(
        lambda out, tasks: train(out, tasks, logger=facts), monkeypatch, large, distilled(large), tmp_path / "run"
    )
    data = found["data"]
    key = f"teacher image {large}"
    given = data.targets[key].keys(np.arange(N)).numpy()
    assert not given[~data.training].any()
    wanted = kt.load(large).embed(rows()).z["image"]
    there = np.flatnonzero(data.training)
    by_id = {int(i): z for i, z in enumerate(wanted)}
    unit = given[there] / np.linalg.norm(given[there], axis=1, keepdims=True)
    np.testing.assert_allclose(unit, np.stack([by_id[i] for i in there]), atol=1e-5)
    assert found["facts"]["targets"][key]["width"] == given.shape[1]
    assert facts.said["teacher"].startswith(f"{large}: {data.training.sum()} rows of image read once (")
    assert "cannot read" not in facts.said["teacher"]
    assert kt.load(tmp_path / "run").embed(rows()).z["image"].shape[0] == N  # needs no teacher
    assert set(json.loads((tmp_path / "run" / "teachers.json").read_text())) == {key}


def test_rows_that_were_left_out_shift_no_teacher(tmp_path, monkeypatch):
    rng, photos = np.random.default_rng(0), tmp_path / "photos"
    photos.mkdir()
    for n in range(30):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(photos / f"{n:02}.png")
    for n in (3, 11):
        (photos / f"{n:02}.png").write_bytes(b"no picture")
    more = {"source.quarantine": 0.2}
    large = train(tmp_path / "large", {"contrast": {"name": "simclr", "width": 8, "hidden": 8}}, 1, photos, **more)
    of = str(large.path)
    found = table_of(
        lambda out, tasks: train(out, tasks, 1, photos, **more), monkeypatch, of, distilled(of), tmp_path / "run"
    )
    data, z = found["data"], large.embed(photos)
    given = data.targets[f"teacher image {of}"].keys(np.arange(len(data.ids))).numpy()
    own = dict(zip(z.ids.tolist(), z.z["image"], strict=True))
    for row in np.flatnonzero(data.training):
        np.testing.assert_allclose(
            given[row] / np.linalg.norm(given[row]), own[str(data.ids[row])], atol=1e-5, err_msg=str(data.ids[row])
        )


def test_a_teacher_that_can_read_no_row_says_why(tmp_path):
    rng = np.random.default_rng(0)
    small = {**FAST, "encoders.series": {"name": "tcn", "hidden": 8, "out": 8, "depth": 2}, "plan.batch": 8}
    given = {"fields": {"wave": "series"}, "steps": 1, "settings": {**small, "scores": []}, "device": "cpu"}
    one = kt.train({"wave": rng.standard_normal((30, 20))}, out=tmp_path / "one", **given)
    three = {"wave": list(rng.standard_normal((30, 20, 3)))}
    with pytest.raises(UserError, match=r"cannot (read the field|take the rows of) 'wave': .*channel"):
        kt.train(three, tasks=distilled(str(one.path)), out=tmp_path / "three", **given)


def as_if_two_processes_had_written(kept):
    """One file of embeddings becomes two, each of every other row."""
    one = FeatureFiles(kept / "1" / "0")
    for rank in range(2):
        FeatureFiles(kept / "2" / f"{rank}").append(one.pooled(np.arange(one.done))[rank::2])
    shutil.rmtree(kept / "1")


def test_a_resumed_run_needs_no_teacher_but_its_cache_and_ends_bit_for_bit(tmp_path, large):
    teacher = tmp_path / "large"
    shutil.copytree(large, teacher)
    tasks = {"contrast": {"name": "simclr", "width": 8, "hidden": 8}, **distilled(str(teacher), weight=0.5)}
    whole = train(tmp_path / "whole", tasks)
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", tasks, logger=Stop())
    shutil.copytree(tmp_path / "cut", tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "cache" / "teachers")
    shutil.move(teacher, tmp_path / "away")
    (kept,) = (tmp_path / "cut" / "cache" / "teachers").iterdir()
    as_if_two_processes_had_written(kept)
    resumed = kt.resume(tmp_path / "cut", data=rows())
    assert losses(resumed) == losses(whole)
    with pytest.raises(UserError, match=r"large' is no run folder\. Expected the folder of a run, or run:NAME"):
        kt.resume(tmp_path / "bare", data=rows())
    shutil.move(tmp_path / "away", teacher)
    again = kt.resume(tmp_path / "bare", data=rows())  # without the cache the same teacher embeds again
    one, two, three = (load_file(run.path / "encoder" / "model.safetensors") for run in (whole, resumed, again))
    for name, value in one.items():
        assert torch.equal(value, two[name])
        assert torch.equal(value, three[name])
    new, compared = kt.replay(whole.path, data=rows(), out=tmp_path / "replay")
    assert compared.identical, list(compared.words())
    assert (new.path / "teachers.json").read_bytes() == (whole.path / "teachers.json").read_bytes()


def test_a_teacher_that_has_changed_since_the_run_began_is_refused(tmp_path, large):
    teacher = tmp_path / "large"
    shutil.copytree(large, teacher)
    run = train(tmp_path / "run", distilled(str(teacher)), steps=2)
    file = teacher / "encoder" / "model.safetensors"
    weights = load_file(file)
    name = next(name for name, value in weights.items() if value.is_floating_point())
    save_file({**weights, name: weights[name] * 1.01}, file)
    with pytest.raises(UserError, match=r"is not what it was when .* was begun; bring it back"):
        kt.replay(run.path, data=rows(), out=tmp_path / "replay")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("timm") / "model.safetensors"
    net = timm.create_model("test_resnet")
    save_file(net.state_dict(), file)
    return str(file), net.eval()


@pytest.mark.parametrize("classifier", [False, True])
def test_a_timm_model_sees_its_own_size_and_colours(weights, classifier):
    file, net = weights
    written = {"name": "timm", "of": "test_resnet", "weights": file, "classifier": classifier}
    teacher = teacher_of(written, "image", "image", trusts=False)
    config, modality = net.default_cfg, teacher.modality
    assert (modality.size, modality.mean, modality.std) == (
        config["input_size"][-1],
        list(config["mean"]),
        list(config["std"]),
    )
    cells = list(rows(40)["image"][:3])
    x = modality.preprocess(modality.collate([modality.pack(modality.read(cell, None)) for cell in cells]))
    with torch.no_grad():
        scores = net(x)
        wanted = scores.softmax(1) if classifier else net.forward_head(net.forward_features(x), pre_logits=True)
        torch.testing.assert_close(teacher(x), wanted)
    assert teacher.classifies == classifier
    assert not any(p.requires_grad for p in teacher.network.parameters())


def test_a_timm_model_teaches_a_run_and_its_classifier_gives_classes(tmp_path, weights):
    of = {"name": "timm", "of": "test_resnet", "weights": weights[0], "size": 32}
    train(tmp_path / "one", distilled(of, how="similarity"), steps=2)
    task = {"name": "genscl", "width": 8, "teacher": {**of, "classifier": True}, "mixing": "mixup_cutmix"}
    run = train(tmp_path / "two", {"genscl": task}, steps=3)
    told = json.loads((run.path / "encoder" / "targets.json").read_text())["targets"]
    assert next(facts for name, facts in told.items() if name.startswith("teacher classes"))["classes"] == 1000
    assert np.isfinite(losses(run)).all()


WORDS = ["red", "green", "blue", "fox", "dog", "cat", "runs", "sleeps", "eats", "fast", "slow"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A small BERT with random weights and the tokenizer of few words."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("bert")
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    coder = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    coder.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=coder, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(
        folder
    )
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    model = transformers.BertModel(transformers.BertConfig(vocab_size=len(vocabulary), **shape))
    model.save_pretrained(folder)
    return str(folder), model.eval()


@pytest.mark.parametrize("prefix", ["", "transformers:"])
def test_a_text_model_reads_the_words_by_its_own_tokenizer(tmp_path, bert, prefix, monkeypatch):
    folder, model = bert
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(40)]

    def run(out, tasks):
        small = {**FAST, "encoders.text": {"name": "tokens", "width": 8, "buckets": 64}, "plan.batch": 8, "scores": []}
        kt.train({"text": texts}, tasks=tasks, fields={"text": "text"}, steps=3, settings=small, out=out, device="cpu")

    found = table_of(run, monkeypatch, folder, distilled(prefix + folder), tmp_path / "run")
    row = int(np.flatnonzero(found["data"].training)[0])
    ids = torch.tensor([[2 + WORDS.index(word) for word in texts[row].split()]])
    with torch.no_grad():
        wanted = model(input_ids=ids).last_hidden_state.mean(1)[0]
    given = found["data"].targets[f"teacher text {prefix}{folder}"].keys(np.array([row]))[0]
    torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match="there is no such folder"):
        run(tmp_path / "none", distilled("transformers:./none"))


def test_classes_of_a_run_are_those_of_a_probe_on_the_labelled_training_rows(tmp_path, large, monkeypatch):
    task = {"name": "genscl", "width": 8, "teacher": large, "mixing": "cutmix"}
    found = table_of(train, monkeypatch, large, {"genscl": task}, tmp_path / "run")
    data, key = found["data"], f"teacher classes image {large}"
    chances = data.targets[key].keys(np.arange(N)).numpy()
    assert chances.shape == (N, 3)
    np.testing.assert_allclose(chances[data.training].sum(1), 1, atol=1e-5)  # unlabelled rows too
    assert not chances[~data.training].any()
    label = data.targets["label"].keys(np.arange(N)).numpy()
    known = data.training & (label >= 0)
    assert (chances[known].argmax(1) == label[known]).mean() > 0.9
    terms = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["terms"]
    assert set(terms) == {"labels", "teacher"}


def test_a_column_of_embeddings_is_a_teacher_too(tmp_path):
    rng = np.random.default_rng(0)
    vectors = [None if n % 7 == 0 else rng.standard_normal(5).tolist() for n in range(N)]
    data = {"image": rows()["image"], "big": vectors}
    run = kt.train(
        data,
        recipe="distillation",
        fields={"big": "teacher"},
        steps=3,
        settings=SMALL,
        out=tmp_path / "run",
        device="cpu",
    )
    assert np.isfinite(losses(run)).all()
    with pytest.raises(UserError, match="lists of 2 and of 5 numbers"):
        kt.train(
            {**data, "big": [[0.0, 1.0], *vectors[1:]]}, recipe="distillation", fields={"big": "teacher"}, steps=1,
            settings=SMALL, out=tmp_path / "two",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ("runs/none", r"'runs/none' is no run folder\. Expected the folder of a run, or run:NAME, timm:NAME"),
        ("tim:resnet18", "did you mean 'timm'"),
        ("run:nothing/here", "is no run"),
        ("timm:resnet1888", "there is no model 'resnet1888'; did you mean"),
        ({"name": "tim", "of": "resnet18"}, "no teacher 'tim'; did you mean 'timm'"),
        ({"name": "timm"}, "needs 'of'"),
        (3, "is not str | dict | None"),
    ],
)
def test_a_teacher_that_is_none_is_named_before_training(tmp_path, teacher, words):
    with pytest.raises(UserError, match=words):
        train(tmp_path / "run", distilled(teacher), steps=1)
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_field_or_modality_is_refused(tmp_path, large):
    photos = {"photo": rows()["image"]}
    with pytest.raises(UserError, match=r"has no field 'photo'.*Name its field"):
        train(tmp_path / "one", distilled(large), steps=1, data=photos)
    its = {"name": "run", "of": large, "its": "image"}
    assert train(tmp_path / "two", distilled(its), steps=1, data=photos).path.is_dir()
    with pytest.raises(UserError, match=r"'image' is a field of image in the run .*, and 'wave' here of series"):
        kt.train(
            {"wave": np.random.default_rng(0).standard_normal((N, 20))},
            tasks=distilled({**its}),
            fields={"wave": "series"},
            steps=1,
            out=tmp_path / "three",
        )
    with pytest.raises(UserError, match="reads texts; 'image' is a field of image"):
        train(tmp_path / "four", distilled("transformers:some/model"), steps=1)
    with pytest.raises(UserError, match="a column of labels: --label COLUMN"):
        soft = [[0.5, 0.5]] * N
        data = {"image": rows()["image"], "soft": soft}
        task = {"genscl": {"name": "genscl", "teacher": large}}
        kt.train(data, tasks=task, fields={"soft": "soft"}, steps=1, settings=SMALL, out=tmp_path / "five")


def test_a_teacher_is_named_on_the_command_line_and_a_folder_that_names_one_names_no_code(tmp_path, large, capsys):
    np.savez(tmp_path / "rows.npz", image=rows()["image"])
    words = ["train", tmp_path / "rows.npz", "--task", "simclr", "--task", f"distillation:teacher={large},weight=.5"]
    small = ["--encoder", "image=resnet,base=4,thin=4", "--batch", 16, "--steps", 2, "--set", "scores=[]", "--quiet"]
    assert call(*words, *small, "--out", tmp_path / "run") == 0
    told = json.loads((tmp_path / "run" / "experiment.json").read_text())["tasks"]["distillation"]
    assert (told["teacher"], told["weight"]) == (large, 0.5)
    file = tmp_path / "run" / "experiment.json"
    file.write_text(file.read_text().replace(large, "timm:resnet18"))
    assert kt.load(tmp_path / "run").experiment.tasks["distillation"].task.settings["teacher"] == "timm:resnet18"
    file.write_text(file.read_text().replace("timm:resnet18", "my_lab:Teacher"))
    with pytest.raises(UserError, match="--trust-code"):
        kt.load(tmp_path / "run").experiment


@pytest.mark.dist
def test_two_processes_share_the_rows_of_a_teacher_and_end_where_one_does(tmp_path, large):
    np.savez(tmp_path / "rows.npz", image=rows()["image"])
    words = ["train", tmp_path / "rows.npz", "--task", f"distillation:teacher={large}", "--batch", 11, "--steps", 4]
    words += ["--encoder", "image=resnet,base=4,thin=4", "--precision", "32", "--channels-last", "off", "--quiet"]
    found = []
    for more in ([], ["--devices", "2"]):
        out = tmp_path / f"run{len(found)}"
        done = subprocess.run(
            [sys.executable, "-m", "kontrast", *map(str, [*words, *more, "--out", out])],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        found.append(losses(kt.load(out)))
    assert found[1] == pytest.approx(found[0], rel=1e-4)
