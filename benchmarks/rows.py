"""How long do a table's rows take to open, and how much memory, against how many there are?

    python -m benchmarks.rows --rows 10000 100000 1000000

A Parquet table a size: an id, a text of ten words, four numbers, a label, a series of 32 values, written in row groups
of 65,536. Each stage runs in a process of its own, from a cold cache folder:

    open      the file opened and the kind of every column told, as `kontrast train` does first (the table is rewritten
              once as an Arrow file that stays memory-mapped)
    again     the same with the cache there, as a resumed run finds it
    prepare   all rows split, read, packed and hashed: what comes between opening and the first step

Memory is what the process itself holds (anonymous, at its peak, above what it held once everything was imported). Pages
of memory-mapped files are not counted there, for the system takes them back whenever it needs room; the usual peak RSS,
which counts them, stands beside it. Bars: a million rows open in at most 10 s, in memory within 1.5 times that of the
smallest table and 64 MB; and prepare takes at most 160 bytes a row more: what is kept of every row (id, key, label,
side: 61 bytes here), and as much again while hashes are sorted to find twins.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

GROUP = 65_536
WORDS = np.array([f"{a}{b}" for a in ("ka", "lo", "mi", "ne", "pu", "ra") for b in ("bal", "dor", "fen", "gis", "tum")])
STAGES = ("open", "again", "prepare")
SECONDS, SPARE, A_ROW = 10.0, 64e6, 160


def made(path: Path, rows: int) -> None:
    """The table, one row group after the other."""
    with pq.ParquetWriter(path, batch(0, 1).schema) as writer:
        for start in range(0, rows, GROUP):
            writer.write_batch(batch(start, min(GROUP, rows - start)))


def batch(start: int, rows: int) -> pa.RecordBatch:
    rng = np.random.default_rng(start)
    kinds = rng.integers(0, 10, rows)
    series = np.cumsum(rng.standard_normal((rows, 32)).astype(np.float32), axis=1) + kinds[:, None]
    words = WORDS[rng.integers(0, len(WORDS), (rows, 10))]
    return pa.record_batch(
        {
            "id": np.arange(start, start + rows),
            "title": pa.array(list(map(" ".join, words.tolist()))),
            **{name: rng.standard_normal(rows) for name in ("price", "width", "height", "depth")},
            "label": pa.array([f"kind {kind}" for kind in kinds]),
            "series": pa.FixedSizeListArray.from_arrays(pa.array(series.ravel()), 32).cast(pa.list_(pa.float32())),
        }
    )


class Watch:
    """Seconds and the peak of the process's own memory, looked at every few milliseconds."""

    def __enter__(self):
        self.base = self.peak = held()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()
        self.start = time.perf_counter()
        return self

    def look(self):
        """Until the block ends."""
        while not self.over.wait(0.005):
            self.peak = max(self.peak, held())

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.start
        self.over.set()
        self.thread.join()

    def found(self) -> dict[str, float]:
        """Seconds, bytes of its own, bytes of the peak RSS."""
        scale = 1 if sys.platform == "darwin" else 1024
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
        return {"seconds": self.seconds, "own": self.peak - self.base, "rss": rss}


def held() -> int:
    """Bytes of anonymous memory; where the system does not tell, the peak RSS."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def stage(name: str, table: Path, cache: Path) -> dict[str, float]:
    """One stage, in this process."""
    import torch

    from kontrast.core.experiment import Source
    from kontrast.data.dataset.dataset import prepare
    from kontrast.data.schema.fields import infer
    from kontrast.data.sources.open_source import open_frame, readers
    from kontrast.modalities.series.series import Series
    from kontrast.modalities.text.text import Text

    torch.set_num_threads(1)
    readers()
    with Watch() as watch:
        frame = open_frame(table, cache=cache)
        fields = infer(frame, {}, None)
        if name == "prepare":
            modalities = {"title": Text(), "series": Series()}
            prepare(frame, fields, modalities, source=Source(), seed=0, cache=cache, fit=True)
    kinds = {column: field.kind for column, field in fields.items()}
    assert kinds["title"] == "text", kinds
    assert kinds["series"] == "series", kinds
    return watch.found()


def measured(rows: int, folder: Path) -> dict[str, dict[str, float]]:
    table, cache = folder / "rows.parquet", folder / "cache"
    print(f"{rows:,} rows: writing", file=sys.stderr)
    made(table, rows)
    out = {}
    for name in STAGES:
        print(f"{rows:,} rows: {name}", file=sys.stderr)
        call = [sys.executable, "-m", "benchmarks.rows", "--stage", name, str(table), str(cache)]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        out[name] = json.loads(subprocess.run(call, check=True, capture_output=True, text=True, env=env).stdout)
    return out


def verdicts(found: dict[int, dict[str, dict[str, float]]]) -> list[str]:
    least, most = min(found), max(found)
    opened, small = found[most]["open"], found[least]["open"]
    more = found[most]["prepare"]["own"] - found[least]["prepare"]["own"]
    tests = [
        (f"{most:,} rows open in {opened['seconds']:.1f} s (bar {SECONDS:.0f})", opened["seconds"] <= SECONDS),
        (
            f"opening holds {opened['own'] / 1e6:.0f} MB ({small['own'] / 1e6:.0f} MB for {least:,} rows)",
            opened["own"] <= 1.5 * small["own"] + SPARE,
        ),
        (
            f"preparing holds {more / max(1, most - least):.0f} bytes a row more (bar {A_ROW})",
            more <= A_ROW * (most - least) + SPARE,
        ),
    ]
    return [f"- {words}: {'pass' if good else 'FAIL'}" for words, good in tests]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--stage", nargs=3, metavar=("NAME", "TABLE", "CACHE"), help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.stage:
        name, table, cache = said.stage
        print(json.dumps(stage(name, Path(table), Path(cache))))
        return
    found = {}
    for rows in said.rows:
        with tempfile.TemporaryDirectory(prefix="kontrast-rows-") as folder:
            found[rows] = measured(rows, Path(folder))
    print("| rows | stage | seconds | own memory MB | peak RSS MB |\n|---|---|---|---|---|")
    for rows, stages in found.items():
        for name, one in stages.items():
            print(f"| {rows:,} | {name} | {one['seconds']:.2f} | {one['own'] / 1e6:.0f} | {one['rss'] / 1e6:.0f} |")
    print("\n" + "\n".join(verdicts(found)))
    versions = " · ".join(f"{name} {metadata.version(name)}" for name in ("pyarrow", "numpy", "torch"))
    print(f"\nPython {platform.python_version()} · {versions} · {os.cpu_count()} cores, 1 thread")


if __name__ == "__main__":
    main()
