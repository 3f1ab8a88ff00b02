"""One harness a reader: its seeds, and what is done with the bytes. A harness returns where a value came of them, and
raises UserError or Unreadable where they are refused; all else is a finding."""

import datetime
import hashlib
import json
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from kontrast.core import factory
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import Unreadable, UserError
from kontrast.core.experiment import Experiment, Source
from kontrast.data.dataset.dataset import prepare
from kontrast.data.schema.fields import infer
from kontrast.data.sources import open_source
from kontrast.data.tables import uri
from kontrast.data.tables.frame import Frame
from kontrast.modalities.image.picture import picture

from . import seeds

Feed = Callable[[bytes], object]
Harness = Callable[[Path], tuple[list[bytes], Feed]]
SECONDS = 10  # for one example; the slowest honest ones take half of one
MEMORY = 1_500_000_000  # bytes beyond what the process has
EXPECTED = (UserError, Unreadable)


@contextmanager
def bounded() -> Iterator[None]:
    """An example may take so long and so much memory; TimeoutError and MemoryError are findings."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"longer than {SECONDS} s")

    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MEMORY, limits[1]))
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def fed(feed: Feed, data: bytes) -> bool:
    """Whether a value came of it."""
    with bounded(), suppress(*EXPECTED):
        feed(data)
        return True
    return False


def used(frame: Frame, cache: Path) -> None:
    """Rows as a run would read them: columns told apart, cells read, labelled, split and packed."""
    if not len(frame):
        raise UserError("empty")
    shutil.rmtree(cache, ignore_errors=True)
    source = Source(quarantine=1, held_out=0)
    fields = infer(frame, {}, None)
    kinds = {"image": {"size": 8}, "text": {"length": 8}, "series": {}}
    modalities = {n: factory.build("modalities", f.kind, kinds[f.kind]) for n, f in fields.items() if f.kind in kinds}
    data = prepare(frame, fields, modalities, source=source, seed=0, cache=cache, fit=True)
    for name, modality in modalities.items():
        rows = np.flatnonzero(data.stores[name].has)[:4]
        if len(rows):
            batch = modality.collate(data.stores[name].rows(rows))
            assert torch.isfinite(modality.preprocess(batch.clone())).any() or modality.encoder != "resnet"
            modality.raw(batch)
            modality.show(data.stores[name].rows(rows)[0])
    for name in frame.columns:
        frame.cells(name, np.arange(min(len(frame), 50)))


def _file(name: str, made: Callable[[], list[bytes]], beside: Mapping[str, bytes] | None = None) -> Harness:
    """A file that is opened by its path, with others beside it."""

    def harness(place: Path) -> tuple[list[bytes], Feed]:
        (place / "data").mkdir()
        for other, content in {"x.png": seeds.png(), **(beside or {})}.items():
            (place / "data" / other).write_bytes(content)
        target = place / "data" / name

        def feed(data: bytes) -> None:
            target.write_bytes(data)
            used(open_source.open_frame(target, cache=None), place / "cache")

        return made(), feed

    return harness


def texts(place: Path) -> tuple[list[bytes], Feed]:
    """A folder of texts, one of which is any bytes."""
    (place / "data").mkdir()
    for name in "bcd":
        (place / "data" / f"{name}.txt").write_text(f"the text {name}")

    def feed(data: bytes) -> None:
        (place / "data" / "a.txt").write_bytes(data)
        used(open_source.open_frame(place / "data", cache=None), place / "cache")

    return [b"a text\n", "ein schöner Text, 文字".encode()], feed


def pictures(place: Path) -> tuple[list[bytes], Feed]:
    """Encoded pictures."""

    def feed(data: bytes) -> None:
        assert picture(data, place).dtype == np.uint8

    return seeds.pictures(), feed


def saved(place: Path) -> tuple[list[bytes], Feed]:
    """One of the files of a Dataset that was saved."""
    whole = place / "whole"
    seeds.saved(whole)
    files = {file.name: file.read_bytes() for file in whole.iterdir()}

    def feed(data: bytes) -> None:
        name = "dataset_info.json" if b'"features"' in data else "state.json"
        target = whole / (name if data[:1] == b"{" else next(n for n in files if n.endswith(".arrow")))
        target.write_bytes(data)
        try:
            used(open_source.open_frame(whole, cache=None), place / "cache")
        finally:
            target.write_bytes(files[target.name])

    return list(files.values()), feed


def query(place: Path) -> tuple[list[bytes], Feed]:
    """Addresses; those of sqlite are asked."""
    import sqlite3

    file = place / "shop.db"
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE products (name TEXT, price REAL)")
        made.execute("INSERT INTO products VALUES ('a', 1), ('b', NULL)")
    made.close()

    def feed(data: bytes) -> None:
        said = data.decode("utf8", "surrogateescape")
        uri.matches(said)
        uri.without_secrets(said)
        uri.short_name(said)
        with suppress(UserError):
            uri.refuse_secrets(said, "do so.")
        with suppress(UserError):
            uri.split_query(said, "an example")
        if said.startswith("sqlite:"):
            open_source.open_frame(f"sqlite:{file}#{said.partition('#')[2]}", cache=None)

    return seeds.addresses(), feed


def where(place: Path) -> tuple[list[bytes], Feed]:
    """Filters, asked of a small table as the engine FAISS does, and written as SQL."""
    from kontrast.search.engines.faiss import filtered
    from kontrast.search.where import Unclear, parse, sort_of, to_sql

    day = datetime.datetime(2020, 5, 5)
    table = pa.table(
        {
            "label": ["animals", "b", None],
            "year": [2001, 1999, None],
            "price": [1.5, float("nan"), None],
            "name with space": ["a", "b", "c"],
            "n": [1, 2, 3],
            "moment": [day, day, None],
            "truth": [True, False, None],
        }
    )
    columns = {name: (name, sort_of(table.schema.field(name).type)) for name in table.column_names}

    def feed(data: bytes) -> None:
        try:
            term = parse(data.decode("utf8", "replace"), columns)
        except Unclear as error:
            raise UserError(str(error)) from error
        to_sql(term, repr)
        filtered(table, term)

    return seeds.wheres(), feed


def experiment(place: Path) -> tuple[list[bytes], Feed]:
    """experiment.json, to where its parts are found and checked."""
    from kontrast.runs.build import modalities_of
    from kontrast.runs.folder.folder import Folder

    def feed(data: bytes) -> None:
        (place / "experiment.json").write_bytes(data)
        made = Folder(place).experiment()
        made.difference(Experiment.from_json(made.to_json()))
        modalities_of(made)

    return seeds.experiment(), feed


def _run(place: Path) -> Path:
    """A finished run with an index."""
    import kontrast

    data = place / "x.csv"
    words = ["red", "blue", "green", "big", "small", "coat", "shoe", "hat"]
    rows = [f"{n},{words[n % 8]} {words[n % 5]} {words[n % 7]},{'ab'[n % 2]}" for n in range(40)]
    data.write_text("id,text,label\n" + "\n".join(rows) + "\n")
    plain = {"plan.batch": 8, "plan.precision": "32", "plan.channels_last": "off", "plan.compile": "off"}
    run = kontrast.train(data, steps=2, settings=plain, out=place / "run", device="cpu")
    run.index(engine="faiss")
    return run.path


def _of_run(names: tuple[str, ...], ask: Callable[[Any], object]) -> Harness:
    """Files of a finished run, of which one holds other bytes: the one that the first line names. `ask`: what is then
    asked of the run.
    """

    def harness(place: Path) -> tuple[list[bytes], Feed]:
        import kontrast

        path = _run(place)
        whole = {name: (path / name).read_bytes() for name in names}

        def feed(data: bytes) -> None:
            first, _, rest = data.partition(b"\n")
            name = next((name for name in names if name.encode() == first), names[0])
            (path / name).write_bytes(rest)
            try:
                ask(kontrast.load(path))
            finally:
                (path / name).write_bytes(whole[name])

        return [name.encode() + b"\n" + _short(content) for name, content in whole.items()], feed

    return harness


def _short(content: bytes) -> bytes:
    """JSON on one line, which is then changed inside."""
    with suppress(ValueError):
        return json.dumps(json.loads(content)).encode()
    return content


def _report(run: Any) -> None:
    from kontrast.runs.folder.catalogue import catalogue, lines

    list(lines(catalogue([run.path])))
    run._repr_html_()
    run.report()


def _index(run: Any) -> None:
    from kontrast.search.index import Index

    found = Index.open(run.path / "index")
    len(found)
    found.search(np.ones(found.facts["spaces"][0]["width"]), 2, where="label = 'a'")


def _embed(run: Any) -> None:
    from kontrast.runs.folder.folder import Folder
    from kontrast.runs.model import Model

    model = Model.load(Folder(run.path))
    model.embed_cells("text", ["red coat"])


def checkpoint(place: Path) -> tuple[list[bytes], Feed]:
    """A checkpoint whose hash fits; what it holds is put into the training that goes on."""
    from kontrast.runs.folder.folder import Folder

    folder = place / "checkpoints"
    folder.mkdir()

    def feed(data: bytes) -> None:
        (folder / "000000001.safetensors").write_bytes(data)
        (folder / "000000001.sha256").write_text(hashlib.sha256(data).hexdigest())
        Folder(place).newest_checkpoint()

    return seeds.tensors(), feed


def bank(place: Path) -> tuple[list[bytes], Feed]:
    """A bank, indexed and judged as far as a bank alone can be."""
    seed = seeds.bank(place)

    def feed(data: bytes) -> None:
        (place / "bank.parquet").write_bytes(data)
        loaded = EmbeddingTable.load(place / "bank.parquet")
        loaded.whole()
        loaded.take(np.arange(len(loaded)) % 2 == 0)
        for name in loaded.z:
            loaded.has(name)

    return [seed], feed


_BESIDE = {"a.csv": seeds.csv()[0], "b.csv": b"sku,text,price\na1,x,1\nzz,y,2\n"}
READERS: Mapping[str, Harness] = {
    "csv": _file("x.csv", seeds.csv),
    "tsv": _file("x.tsv", lambda: [one.replace(b",", b"\t") for one in seeds.csv()]),
    "jsonl": _file("x.jsonl", seeds.jsonl),
    "json": _file("x.json", seeds.json_list),
    "parquet": _file("x.parquet", seeds.parquet),
    "arrow": _file("x.arrow", seeds.arrow),
    "npy": _file("x.npy", seeds.npy),
    "npz": _file("x.npz", seeds.npz),
    "ts": _file("x.ts", seeds.ts),
    "ucr": _file("x.tsv", seeds.ucr),
    "tar": _file("x.tar", seeds.tar),
    "mix": _file("x.json", seeds.mix, _BESIDE),
    "pictures": pictures,
    "texts": texts,
    "saved": saved,
    "query": query,
    "where": where,
    "experiment": experiment,
    "checkpoint": checkpoint,
    "bank": bank,
    "index": _of_run(("index/index.json",), _index),
    "encoder": _of_run(("encoder/modalities.json", "encoder/targets.json"), _embed),
    "weights": _of_run(("encoder/model.safetensors",), _embed),
    "report": _of_run(
        ("scores.json", "samples.json", "data.json", "environment.json", "metrics.jsonl", "experiment.json"), _report
    ),
}


@contextmanager
def ready(name: str, place: Path) -> Iterator[tuple[list[bytes], Feed]]:
    """That reader in an empty folder, with the sources found once: finding them parses all files of their folder."""
    known = open_source.readers()
    found, open_source.readers = open_source.readers, lambda: known
    before = Path.cwd()
    os.chdir(place)
    try:
        yield READERS[name](place)
    finally:
        os.chdir(before)
        open_source.readers = found


def draws(name: str, number: int) -> Random:
    """The random numbers of an example, the same each time."""
    return Random(f"{name} {number}")
