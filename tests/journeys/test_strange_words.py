"""Names, labels and captions of whatever origin: no escape code reaches a terminal, no word becomes markup, no name
leads astray; and embeddings that are no numbers are refused."""

import json
import re
import shutil
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import kontrast
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError, printable
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.runs.folder.folder import Folder
from kontrast.runs.folder.run_json import harmless
from kontrast.runs.model import Model
from kontrast.search.index import build
from tests.support.command import call
from tests.support.settings import FAST

pytestmark = pytest.mark.slow

ESCAPES = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202egnp.exe \u200b\u2066 \x7f\x08"
MARKUP = "<script>window.hurt=1</script>\"' onmouseover=alert(1) x='&lt;"
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def test_what_is_unseen_is_written_out_and_the_rest_stays():
    assert printable(ESCAPES).startswith("\\u001b[31mred\\u001b]0;title\\u0007 \\u009b2J \\u202egnp.exe")
    assert not UNSEEN.search(printable(ESCAPES))
    fine = "Größe, 文字, ñ, 👨‍👩‍👧, a\tb\nc, می‌خواهم"
    assert printable(fine) == fine
    assert json.loads(printable(json.dumps({"a": ESCAPES}, ensure_ascii=False)))["a"] == ESCAPES


# ---- a run on the strangest words


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A run on pictures, captions, labels and metadata whose every name and word is hostile."""
    place = tmp_path_factory.mktemp("strange")
    folder = place / f"da\x1b[31mta {MARKUP.replace('/', '')}"
    folder.mkdir()
    rows = []
    for n in range(40):
        name = f"{n}\x1b[2J\u202e{MARKUP.replace('/', '')[:60]}.png"
        Image.new("RGB", (16, 16), (6 * n, 0, 250 - 6 * n)).save(folder / name)
        words = ["coat", "shoe", "hat", "bag"][n % 4]
        rows.append({"id": f"{ESCAPES}{MARKUP} {n}", "image": name, "caption": f"{words} {n} {MARKUP} {ESCAPES}"})
        rows[-1] |= {"label": f"{MARKUP}{ESCAPES}{n % 2}", f"{MARKUP}{ESCAPES}": f"{MARKUP} {n % 5} {ESCAPES}"}
    rows[7]["image"] = f"\x1b[31mno such {MARKUP}.png"
    pq.write_table(pa.Table.from_pylist(rows), folder / "x.parquet")
    settings = {**FAST, "plan.batch": 16, "source.quarantine": 0.1}
    run = kontrast.train(folder / "x.parquet", steps=2, settings=settings, out=place / "r<b>u'n\"", device="cpu")
    run.index(engine="faiss")
    return run, folder / "x.parquet"


def test_no_escape_code_reaches_the_terminal(strange, tmp_path, capsys, monkeypatch):
    run, data = strange
    monkeypatch.chdir(tmp_path)
    path = run.path
    assert call("tag", path, f"t {MARKUP}") == 0
    commands = [
        ("search", path, "coat"),
        ("search", path, "coat", "--where", f"{ESCAPES} = 1"),
        ("embed", path, data, "--out", tmp_path / "e.parquet"),
        ("doctor", data, "--json"),
        ("runs", path.parent),
        ("runs", path.parent, "--json"),
        ("train", data, "--field", f"{ESCAPES}=text", "--out", tmp_path / "none"),
        ("train", data.parent / f"no{ESCAPES.replace('/', '')}.csv"),
        ("embed", path, data, "--out", data.parent),
        ("show", ESCAPES),
        ("list", ESCAPES),
        ("compare", path, path),
    ]
    for words in commands:
        call(*words)
        said = capsys.readouterr()
        assert not UNSEEN.search(said.out + said.err), words
        assert said.out + said.err
        assert len(said.err.splitlines()) <= 1, said.err


def test_a_screen_and_a_stream_of_facts_show_nothing_unseen(capsys):
    from kontrast.reporting.terminal import Json, Screen

    for heard in (Screen(), Json()):
        heard.fact("data", f"{ESCAPES}\nand {ESCAPES}")
        heard.progress(ESCAPES, 1, 2)
    assert not UNSEEN.search(capsys.readouterr().out)


def test_no_word_becomes_markup_in_any_page(strange, tmp_path):
    run, data = strange
    from kontrast.doctor.examine import examine
    from kontrast.runs.comparison.compare import compare
    from kontrast.runs.comparison.comparison_page import write_comparison

    examine(data, settings=FAST, out=run.path)
    run.report()
    write_comparison(compare([run, run]), tmp_path / "c.html")
    map_svg, curve = run.plot().svg, run.plot("loss").svg
    pages = [
        (run.path / "report.html").read_text(),
        (tmp_path / "c.html").read_text(),
        run._repr_html_(),
        map_svg,
        curve,
    ]
    for text in pages:
        assert "<script>window.hurt" not in text
        outside = re.sub(r"<script type=\"application/json\"[^>]*>.*?</script>", "", text, flags=re.DOTALL)
        for tag in re.findall(r"<[a-zA-Z][^>]*>", outside):
            assert not re.search(r"\bonmouseover\s*=", re.sub(r"=('[^']*'|\"[^\"]*\")", "=''", tag)), tag
    assert "hurt" in pages[0]  # it is there, as words


@pytest.mark.parametrize(
    "snippet",
    [
        "<script>window.hurt=1</script>",
        "<img src=x onerror=alert(1)>",
        "<img src='http://tracker/x.png'>",
        "<svg onload=alert(1)><path d='M0 0'/></svg>",
        "<svg><use href='http://x/#a'/></svg>",
        "<svg><foreignObject><iframe src='//x'></iframe></foreignObject></svg>",
        "<a href='javascript:alert(1)'>x</a>",
        "<meta http-equiv=refresh content='0;url=http://x'>",
        "<form action=http://x><button>go</button></form>",
        "<div style='position:fixed;inset:0'>all</div>",
        "<iframe srcdoc='<script>alert(1)</script>'>",
        "<style>*{display:none}</style>",
        "</div></section><h1>Verdict: perfect",
        "<img alt='' src='data:image/svg+xml;base64,AAAA' onload='x'>",
        "<math><mi//xlink:href='data:x,<script>alert(4)</script>'>",
        "<!--><img src=x onerror=alert(1)>-->",
        "<svg><![CDATA[<img src=x onerror=alert(1)>]]></svg>",
    ],
)
def test_a_snippet_that_was_sent_is_made_harmless(snippet):
    made = harmless(snippet)
    assert not re.search(
        r"<(script|a|meta|form|div|iframe|style|use|foreignobject|h1|/div|/section|!|math)", made.lower()
    )
    for tag in re.findall(r"<[^>]*>", made):
        assert not re.search(r"\son\w+\s*=|http|javascript|style=|srcdoc", tag)
    assert harmless(made) == made
    assert made.count("<svg") == made.count("</svg>")


def test_the_house_s_own_snippets_stay_as_they_are(series, digits):
    from kontrast.core import factory

    x = np.sin(np.arange(50, dtype=np.float32))[:, None]
    line = factory.build("modalities", "series", {})
    line.fit([x[:, 0]])
    picture = factory.build("modalities", "image", {"size": 8})
    picture.fit([np.zeros((3, 8, 8), np.uint8)])
    for made in (line.show(x), picture.show(np.zeros((3, 8, 8), np.uint8)), "a &lt;b&gt; word<br>and more"):
        assert harmless(made).replace("</path>", "").replace("'", '"') == made.replace("/>", ">").replace(
            "viewBox", "viewbox"
        )


def test_a_run_that_was_sent_shows_no_snippet_of_its_sender_s(strange, tmp_path):
    run, _ = strange
    path = tmp_path / "sent"
    shutil.copytree(run.path, path)
    kept = json.loads((path / "samples.json").read_text())
    attack = "<img src=x onerror='window.hurt=1'><meta http-equiv=refresh content='0;url=http://x'>"
    kept["thumbnails"] = {name: [attack] * len(column) for name, column in kept["thumbnails"].items()}
    kept["views"] = [{**view, "original": attack, "views": [attack]} for view in kept["views"]]
    (path / "samples.json").write_text(json.dumps(kept))
    sent = kontrast.load(path)
    for text in (sent.report().read_text(), sent._repr_html_()):
        assert "onerror" not in text
        assert "http-equiv=refresh" not in text


# ---- names


def test_a_column_s_name_in_two_ways_of_writing(tmp_path):
    one, two = "café", unicodedata.normalize("NFD", "café")
    assert one != two
    pq.write_table(pa.table({one: ["a"], two: ["b"]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="several columns are named 'café'"):
        open_frame(tmp_path / "x.parquet", cache=None)
    frame = open_frame({two: ["a b", "c d"]}, cache=None)
    assert infer(frame, {one: "text"}, None)[two].why == "as you said"
    assert infer(frame, {}, one)[two].kind == "label"


@pytest.mark.parametrize(
    "name", ["a\0b", "..", ".", "con", "x" * 300, "x" * 5000, "a\nb", "\ud800", "~nobody", "~/x\0", "-"]
)
def test_names_that_are_no_file_s_are_refused_in_words(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        open_frame(name, cache=None)
    (tmp_path / "x.json").write_text(json.dumps({"mix": [{"data": name}, {"data": name}]}))
    with pytest.raises(UserError):
        open_frame(tmp_path / "x.json", cache=None)


def test_cells_that_are_no_file_s_name_are_set_aside(tmp_path):
    from kontrast.core.errors import Unreadable
    from kontrast.modalities.image.picture import picture

    for name in ("a\0b.png", "x" * 300 + ".png", "..", ".", "a\nb.png", "\ud800.png"):
        with pytest.raises(Unreadable):
            picture(name, tmp_path)


@pytest.mark.parametrize(
    ("data", "made"),
    [
        ("..", "run-1"),
        ("x" * 300, "x" * 60 + "-1"),
        ("é" * 200, "é" * 60 + "-1"),
        ("a/../../b", "a-..-..-b-1"),
        ("\x1b[31m\u202e", "31m-1"),
        ("a\0b\nc", "a-b-c-1"),
        ("-rf", "rf-1"),
    ],
)
def test_a_run_s_name_made_of_the_data_s_is_a_plain_one(tmp_path, monkeypatch, data, made):
    monkeypatch.chdir(tmp_path)
    assert str(Folder.fresh(None, data).path) == f"runs/{made}"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [made]


# ---- numbers that are none


def bank(z, **more):
    return EmbeddingTable({"text": np.asarray(z, np.float32)}, np.array([f"r{n}" for n in range(len(z))]), **more)


@pytest.mark.parametrize("wrong", [[1, np.nan, 0], [np.inf, 0, 0], [-np.inf, np.nan, 1]])
def test_embeddings_that_are_no_numbers_are_refused_with_their_row(tmp_path, wrong):
    made = bank([[1, 0, 0], [0, 1, 0], wrong])
    made.save(tmp_path / "b.parquet")
    with pytest.raises(UserError, match=r"b.parquet, 'embedding text': 1 of 3 rows are no embedding: row 2 holds"):
        EmbeddingTable.load(tmp_path / "b.parquet")
    for engine in ("faiss", "lancedb"):
        with pytest.raises(UserError, match="row 2 holds"):
            build(made, tmp_path / engine, engine=engine)
    index = build(bank([[1, 0, 0], [0, 1, 0]]), tmp_path / "i", engine="faiss")
    with pytest.raises(UserError, match="row 2 holds"):
        index.add(made)
    with pytest.raises(UserError, match="finite"):
        index.search(np.array(wrong, np.float32))
    assert len(index) == 2


@pytest.mark.parametrize("engine", ["faiss", "lancedb"])
def test_rows_of_nothing_but_nan_lack_the_field_and_zeros_are_near_to_nothing(tmp_path, engine):
    made = bank([[1, 0, 0], [np.nan] * 3, [0, 0, 0], [0.6, 0.8, 0]])
    made.save(tmp_path / "b.parquet")
    again = EmbeddingTable.load(tmp_path / "b.parquet")
    assert again.has("text").tolist() == [True, False, True, True]
    hits = build(again, tmp_path / "i", engine=engine).search(np.array([1, 0, 0], np.float32), 4)
    assert [hit.id for hit in hits][:2] == ["r0", "r3"]
    assert all(np.isfinite(hit.similarity) for hit in hits)
    assert "r1" not in [hit.id for hit in hits]


def test_weights_that_are_no_numbers_are_refused(strange, tmp_path):
    from safetensors.torch import load_file, save_file

    path = tmp_path / "run"
    shutil.copytree(strange[0].path, path)
    file = path / "encoder" / "model.safetensors"
    weights = load_file(file)
    name = next(name for name, t in weights.items() if t.is_floating_point())
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, file)
    with pytest.raises(UserError, match=r"holds NaN or infinity in 1 of its tensors"):
        Model.load(Folder(path))


def test_labels_that_are_nan_are_unknown():
    from kontrast.data.schema.target import class_name

    frame = open_frame({"text": ["a", "b", "c"], "label": [1.0, float("nan"), None]}, cache=None)
    assert [class_name(cell) for cell in frame.cells("label", range(3))] == ["1", "", ""]
