"""Small valid files of every kind that is read, from which fuzzing starts."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import save

TABLE = {
    "sku": ["a1", "b2", "c3"],
    "text": ["a red coat", "two shoes", None],
    "label": ["coat", "shoe", "shoe"],
    "price": [1.5, float("nan"), 3.0],
    "image": ["x.png", "x.png", "y.png"],
    "series": [[1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 5.0, 2.0], None],
}
ROWS = [dict(zip(TABLE, values, strict=True)) for values in zip(*TABLE.values(), strict=True)]


def written(write: Callable[[Any], object]) -> bytes:
    """What `write` wrote to a file."""
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def csv() -> list[bytes]:
    """Commas, tabs' semicolons, quotes."""
    return [
        b"sku,text,label,price\na1,a red coat,coat,1.5\nb2,\"two, shoes\",shoe,\n007,'x',shoe,3\n",
        b'text;year;when\n"a ""b""\nc";1999;2020-01-31\nd;2000;2020-02-01\n',
        b"image,split\nx.png,train\nx.png,test\nx.png,train\n",
    ]


def ucr() -> list[bytes]:
    """Tabs and commas."""
    return [b"1\t0.5\t1.5\t2.5\tNaN\n2\t1\t2\t3\t4\n", b"1,0.5,1.5,3,4\n-1,2,3,1,2\n"]


def ts() -> list[bytes]:
    """One channel and two."""
    head = b"@problemName X\n@timeStamps false\n@univariate false\n@classLabel true a b\n@data\n"
    return [head + b"1,2,?,4:a\n1,2:b\n", head + b"1,2,3:4,5,6:a\n1,2,3:4,5,6:b\n", b"@data\n1,2,3,4\n4,3,2,2\n"]


def jsonl() -> list[bytes]:
    """Lines."""
    return [
        "\n".join(json.dumps(row) for row in ROWS).encode(),
        b'{"a": {"b": [1, 2]}, "text": ["x", "y"]}\n{}\n{"text": ["z"]}\n',
    ]


def json_list() -> list[bytes]:
    """One list."""
    return [json.dumps(ROWS).encode()]


def table() -> pa.Table:
    """All kinds of column that matter."""
    made = pa.table(TABLE)
    made = made.append_column("kind", pa.array(["a", "b", "a"]).dictionary_encode())
    return made.append_column("file", pa.array([{"bytes": png(), "path": None}] * 3))


def small() -> pa.Table:
    """Few columns, so that a change more often hits something."""
    return pa.table({"text": ["a", None, "c d"], "series": [[1.0, 2.0, 3.0, 4.0], None, [5.0]], "label": [1, 2, 1]})


def parquet() -> list[bytes]:
    """Compressed and not."""
    tiny = small()
    return [
        *(written(lambda out, how=how: pq.write_table(tiny, out, compression=how)) for how in ("none", "snappy")),
        written(lambda out: pq.write_table(table(), out, store_schema=False)),
    ]


def arrow() -> list[bytes]:
    """A file, a stream, Feather."""

    def stream(out: Any) -> None:
        with pa.ipc.new_stream(out, small().schema) as writer:
            writer.write_table(small())

    def file(out: Any) -> None:
        with pa.ipc.new_file(out, table().schema) as writer:
            writer.write_table(table())

    return [written(stream), written(file), written(lambda out: feather.write_feather(small(), out))]


def npy() -> list[bytes]:
    """Rows of numbers, in either order, and words."""
    x = np.arange(12, dtype="<f4").reshape(3, 4)
    return [written(lambda out, a=a: np.save(out, a)) for a in (x, np.asfortranarray(x), np.array(["a", "bc"]))]


def npz() -> list[bytes]:
    """With and without a split."""
    x = np.arange(12, dtype="<f4").reshape(3, 4)
    return [
        written(lambda out: np.savez(out, X_train=x, y_train=[1, 2, 1], X_test=x, y_test=[1, 2, 2])),
        written(lambda out: np.savez_compressed(out, X=x, names=np.array(["a", "b", "c"]))),
    ]


def png(form: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture of 4 x 5."""
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3) * 4
    return written(lambda out: Image.fromarray(pixels).convert(mode).save(out, form))


def pictures() -> list[bytes]:
    """Every format that a folder of pictures takes."""
    forms = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF")
    return [*(png(form) for form in forms), png(mode="P"), png(mode="LA"), png("TIFF", "L")]


def tar() -> list[bytes]:
    """One shard of all kinds."""

    def write(out: Any) -> None:
        with tarfile.open(fileobj=out, mode="w") as made:
            array = written(lambda to: np.save(to, np.arange(4, dtype="<f4")))
            inside = {
                "a.png": png(),
                "a.txt": b"a coat",
                "a.cls": b"1",
                "b.json": b'{"text": "x", "n": 1}',
                "b.png": png("GIF"),
            }
            for name, content in {**inside, "b.npy": array, "c.npy": array}.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))

    return [written(write)]


def mix() -> list[bytes]:
    """Over `a.csv` and `b.csv`, which lie beside it."""
    return [
        b'{"mix": [{"data": "a.csv", "weight": 2}, {"data": "b.csv"}]}',
        b'{"join": [{"data": "a.csv"}, {"data": "b.csv"}], "on": "sku", "how": "outer"}',
        b'{"join": [{"data": "a.csv"}, {"data": "b.csv"}], "on": ["sku", "text"]}',
    ]


def saved(folder: Path) -> None:
    """A Dataset of Hugging Face, as `save_to_disk` leaves it."""
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 0]}).save_to_disk(str(folder))


def experiment() -> list[bytes]:
    """As a run writes it."""
    from kontrast.core.experiment import Choice, Experiment, Source

    made = Experiment(
        source=Source(data="x.csv", fields={"text": "text", "label": "label"}),
        views={"text": Choice("text", {"length": 8})},
        encoders={"text": Choice("tokens", {"width": 8})},
        scores=(Choice("knn"),),
    )
    return [made.to_json().encode()]


def tensors() -> list[bytes]:
    """A checkpoint's."""
    return [save({"w": torch.arange(6.0).view(2, 3), "n": torch.tensor(1)}, {"numbers": json.dumps({"step": 1})})]


def wheres() -> list[bytes]:
    """Filters."""
    return [
        b"label = 'animals' AND year > 2000 OR NOT (price IS NULL)",
        b"\"name with space\" ILIKE 'a%' and n in (1, 2, -3.5) or lower(label) <> 'x'",
        b"moment BETWEEN TIMESTAMP '2020-01-31 12:00' AND DATE '2021-01-31' and truth",
        b"year % 3 = 1 and -price / (year - 1) * 2 + 1 >= 1e3 and truth is not null",
    ]


def addresses() -> list[bytes]:
    """Of all schemes."""
    return [
        b"sqlite:shop.db#SELECT * FROM products",
        b"postgresql://me@host:5432/shop?sslmode=require#public.products",
        b"duckdb:#SELECT 1",
        b"hf:rotten_tomatoes:plain@train",
        b"C:/data/x.csv",
    ]


def bank(folder: Path) -> bytes:
    """As a run writes it."""
    from kontrast.core.embedding_table import EmbeddingTable

    z = np.eye(3, 4, dtype=np.float32)
    EmbeddingTable({"text": z}, np.array(["a", "b", "c"]), np.array(["x", "y", ""]), pa.table({"n": [1, 2, 3]})).save(
        folder / "bank.parquet"
    )
    return (folder / "bank.parquet").read_bytes()
