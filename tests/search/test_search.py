"""Search: an index answers as a slow look at every row would, whatever the names, and is replaced in one step."""

import datetime
import importlib
import shutil

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.search.index import Hit, Index, build

pytestmark = pytest.mark.quick

pytest.importorskip("lancedb")


def unit(rng, n, width):
    z = rng.normal(size=(n, width))
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)


def make(n=60, width=8, shared=True, missing=()):
    """Two fields with awkward names, metadata with awkward columns; rows in `missing` lack the second field."""
    rng = np.random.default_rng(0)
    z = {"image": unit(rng, n, width), 'it\'s a "text"': unit(rng, n, width if shared else 5)}
    z['it\'s a "text"'][list(missing)] = np.nan
    metadata = pa.table(
        {
            "year": list(range(1990, 1990 + n)),
            "my column": ["grün 🐸" if i % 2 else "l'été" for i in range(n)],
            "a.b": [i % 3 == 0 for i in range(n)],
            "label": ["of the metadata"] * n,
            "meta label": ["of the metadata, too"] * n,
            "nothing": pa.nulls(n),
            "when": [datetime.datetime(2020, 1, 1) + datetime.timedelta(days=i) for i in range(n)],
            "drawn": pa.array(["pen"] * n).dictionary_encode(),
        }
    )
    labels = np.array(["animals" if i % 4 else "" for i in range(n)])
    return EmbeddingTable(z, np.array([f"r'{i}" for i in range(n)]), labels, metadata, shared)


TEXT = 'it\'s a "text"'


@pytest.fixture(scope="module")
def bank():
    return make(missing=(3, 4))


@pytest.fixture(scope="module")
def index(bank, tmp_path_factory):
    return build(bank, tmp_path_factory.mktemp("index") / "ïndex")


def brute(bank, vector, fields, kept=lambda i: True):
    v = vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64))
    found = [
        (float(bank.z[f][i].astype(np.float64) @ v), str(bank.ids[i]), f)
        for f in fields
        for i in range(len(bank))
        if bank.has(f)[i] and kept(i)
    ]
    return sorted(found, key=lambda x: -x[0])


def test_a_search_is_the_brute_force_order_over_all_fields(bank, index):
    vector = np.random.default_rng(1).normal(size=8) * 7  # any length
    want = brute(bank, vector, bank.z)
    hits = index.search(vector, len(want) + 10)
    assert [(h.id, h.field) for h in hits] == [(i, f) for _, i, f in want]
    np.testing.assert_allclose([h.similarity for h in hits], [s for s, _, _ in want], atol=1e-6)


def test_one_field_is_searched_where_one_is_asked_for(bank, index):
    vector = bank.z["image"][7]
    want = brute(bank, vector, [TEXT])[:5]
    assert [(h.id, h.field) for h in index.search(vector, field=TEXT)] == [(i, f) for _, i, f in want]


def test_a_row_that_lacks_a_field_is_not_found_in_it(bank, index):
    found = {h.id for h in index.search(bank.z["image"][0], 100, field=TEXT)}
    assert found == {str(i) for n, i in enumerate(bank.ids) if n not in (3, 4)}


def test_a_hit_carries_its_label_and_metadata_under_their_own_names(bank, index):
    hit = index.search(bank.z["image"][1], 1)[0]
    assert hit == Hit(
        "r'1",
        "image",
        hit.similarity,
        "animals",
        {
            "year": 1991,
            "my column": "grün 🐸",
            "a.b": False,
            "label": "of the metadata",
            "meta label": "of the metadata, too",
            "nothing": None,
            "when": datetime.datetime(2020, 1, 2),
            "drawn": "pen",
        },
    )
    assert hit.similarity == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("label = 'animals' AND year > 2000", lambda i: i % 4 and i > 10),
        ("\"my column\" = 'l''été'", lambda i: i % 2 == 0),
        ("`my column` LIKE 'grün %' or YEAR in (1990, 1992)", lambda i: i % 2 or i in (0, 2)),
        ('"a.b" and not year between 2000 and 2040', lambda i: i % 3 == 0 and not 10 <= i <= 50),
        ("\"meta label\" = 'of the metadata' and id <> 'r''5'", lambda i: i != 5),
        ("\"meta meta label\" = 'of the metadata, too' and label = ''", lambda i: i % 4 == 0),
        ("nothing is null and drawn = 'pen' and when >= timestamp '2020-01-11'", lambda i: i >= 10),
        ("field = 'nowhere'", lambda i: False),
        ("  ", lambda i: True),
    ],
)
def test_a_filter_keeps_just_the_rows_it_describes(bank, index, where, kept):
    hits = index.search(bank.z["image"][9], 1000, field="image", where=where)
    assert [h.id for h in hits] == [i for _, i, _ in brute(bank, bank.z["image"][9], ["image"], kept)]


@pytest.mark.parametrize("where", ["nope = 3", "year >", "year", "year = 'x'", 'label = "animals"', "drop table x"])
def test_a_bad_filter_is_told_with_the_columns_there_are(bank, index, where):
    with pytest.raises(UserError, match=r"Columns: .*year .int64.*my column .string") as told:
        index.search(bank.z["image"][0], where=where)
    assert where in str(told.value) or repr(where) in str(told.value)


def test_excluded_ids_do_not_come_back(bank, index):
    vector = bank.z["image"][5]
    first = index.search(vector, 3)
    rest = index.search(vector, 3, exclude=[h.id for h in first], where="year > 0 or year < 0")
    assert not {h.id for h in rest} & {h.id for h in first}


def test_fields_of_different_widths_have_a_table_each(tmp_path):
    bank = make(shared=False)
    index = build(bank, tmp_path / "i")
    assert index.search(bank.z[TEXT][2], 1, field=TEXT)[0].id == "r'2"
    assert index.search(bank.z["image"][2], 1, field="image")[0].id == "r'2"
    with pytest.raises(UserError, match="say which to search: image, it's"):
        index.search(bank.z["image"][2])
    with pytest.raises(UserError, match="vector of 8 numbers; expected 5"):
        index.search(bank.z["image"][2], field=TEXT)


def test_equal_widths_do_not_make_a_shared_space(tmp_path):
    rng = np.random.default_rng(0)
    index = build(EmbeddingTable({"a": unit(rng, 4, 3), "b": unit(rng, 4, 3)}, np.array(list("wxyz"))), tmp_path)
    assert {h.field for h in index.search(np.ones(3), 8, field="a")} == {"a"}
    with pytest.raises(UserError, match="share"):
        index.search(np.ones(3))


def test_nonsense_is_refused_in_words(bank, index):
    with pytest.raises(UserError, match="did you mean 'image'"):
        index.search(np.ones(8), field="imag")
    for vector in (np.zeros(8), np.full(8, np.nan), np.ones(7)):
        with pytest.raises(UserError, match="expected 8 finite"):
            index.search(vector)
    with pytest.raises(UserError, match="k=0"):
        index.search(np.ones(8), 0)


def test_an_index_opens_again_and_answers_the_same(bank, index):
    again = Index.open(index.folder)
    assert again.search(bank.z["image"][0], 7) == index.search(bank.z["image"][0], 7)
    assert (again.fields, again.columns) == (["image", TEXT], index.columns)


def test_a_rebuild_replaces_and_leaves_nothing_behind(bank, tmp_path):
    build(bank, tmp_path)
    new = bank.take(np.arange(10))
    index = build(new, tmp_path)
    assert len(index.search(np.ones(8), 100, field="image")) == 10
    assert len(Index.open(tmp_path).search(np.ones(8), 100, field="image")) == 10
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["index.json", index.facts["tables"]])


def test_a_rebuild_that_fails_leaves_the_old_index_as_it_was(bank, tmp_path):
    old = build(bank, tmp_path)
    torn = EmbeddingTable(bank.z, bank.ids, bank.labels[:5], bank.metadata, True)
    with pytest.raises(IndexError):
        build(torn, tmp_path)
    assert Index.open(tmp_path).facts == old.facts
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["index.json", old.facts["tables"]])


@pytest.mark.parametrize("content", [None, "{", '{"kontrast": "bank"}', "[]"])
def test_a_folder_that_is_no_index_says_how_to_make_one(tmp_path, content):
    if content:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(UserError, match="kontrast index RUN DATA"):
        Index.open(tmp_path)


def test_an_index_without_its_tables_says_so(tmp_path, bank):
    gone = build(bank, tmp_path, engine="faiss").facts["tables"]
    shutil.rmtree(tmp_path / gone)
    with pytest.raises(UserError, match="lost its tables"):
        Index.open(tmp_path)


def test_a_bank_of_missing_rows_only_is_refused(tmp_path):
    with pytest.raises(UserError, match="no embedding"):
        build(EmbeddingTable({"a": np.full((2, 3), np.nan, np.float32)}, np.array(["x", "y"])), tmp_path / "i")
    assert not (tmp_path / "i").exists()


def test_a_bank_without_labels_or_metadata_is_found_all_the_same(tmp_path):
    index = build(EmbeddingTable({"a": np.eye(3, dtype=np.float32)}, np.array(["x", "y", "z"])), tmp_path)
    assert index.search(np.array([0, 1, 0.1]), 2) == [
        Hit("y", "a", pytest.approx(0.9950372), "", {}),
        Hit("z", "a", pytest.approx(0.0995037), "", {}),
    ]


def test_a_large_index_is_approximate_measured_and_still_fills_a_narrow_filter(tmp_path):
    rng = np.random.default_rng(0)
    centres = unit(rng, 40, 16)
    z = centres[np.arange(3000) % 40] + 0.3 * unit(rng, 3000, 16)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    bank = EmbeddingTable(
        {"a": z.astype(np.float32)}, np.arange(3000).astype(str), None, pa.table({"n": np.arange(3000)})
    )
    index = build(bank, tmp_path, exact_below=2000)
    space = index.facts["spaces"][0]
    assert not space["exact"]
    assert space["recall"] >= 0.99
    assert space["reach"] < 55
    assert index.search(bank.z["a"][17], 1)[0].id == "17"
    assert len(index.search(bank.z["a"][17], 10, where="n % 300 = 1")) == 10


def test_without_lancedb_the_extra_is_named(bank, tmp_path, monkeypatch):
    real = importlib.import_module

    def without(name, package=None):
        if name == "lancedb":
            raise ModuleNotFoundError("No module named 'lancedb'", name="lancedb")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(UserError, match=r"pip install 'kontrast\[search\]'"):
        build(bank, tmp_path / "i")
    assert not (tmp_path / "i").exists()
