"""What a run costs outside of its training: processor seconds by stage, of a few steps on small data and on many rows.

    python -m benchmarks.fixed_cost                   # 1,000 texts and 2,000 pictures, each in a process of its own
    python -m benchmarks.fixed_cost --pictures 10000

Processor time of one process, so that a busy machine changes it little; three steps of training are told apart. Run it
on two commits in turn to compare them.
"""

import argparse
import functools
import importlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Stage -> where its function stands. A stage inside of another is indented.
STAGES = {
    "resolve": "kontrast.api:resolve",
    "launch": "kontrast.api:launch",
    "read": "kontrast.runs.pipeline.pipeline:_read",
    "train": "kontrast.runs.pipeline.pipeline:train",
    "embed": "kontrast.runs.pipeline.pipeline:_bank",
    "evaluate": "kontrast.runs.pipeline.results:evaluate",
    "  linear": "kontrast.evaluation.linear:Linear.__call__",
    "  clustering": "kontrast.evaluation.clustering:Clustering.__call__",
    "  retrieval": "kontrast.evaluation.retrieval:Retrieval.__call__",
    "  geometry": "kontrast.evaluation.geometry:Geometry.__call__",
    "  knn": "kontrast.evaluation.knn:KNN.__call__",
    "  intervals": "kontrast.evaluation.evaluate:interval",
    "samples": "kontrast.runs.pipeline.results:_samples",
    "report": "kontrast.runs.run:Run.report",
}


def main() -> None:
    """Each data set in a fresh process, for imports count too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--one", choices=("text", "image"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure(given.one, given.texts if given.one == "text" else given.pictures)
        return
    for kind in ("text", "image"):
        rows = ["--texts", str(given.texts), "--pictures", str(given.pictures)]
        subprocess.run([sys.executable, "-m", "benchmarks.fixed_cost", "--one", kind, *rows], check=True)


def measure(kind: str, rows: int) -> None:
    """Three steps on made-up rows; a line a stage."""
    began = time.process_time()
    api = importlib.import_module("kontrast.api")
    spent: Counter[str] = Counter({"import": round(time.process_time() - began, 3)})
    for stage, place in STAGES.items():
        _timed(place, stage, spent)
    with tempfile.TemporaryDirectory(prefix="fixed-cost-") as folder:
        data = _data(kind, rows)
        prepared = time.process_time()
        run = api.train(data, label="label", steps=3, batch=32, out=Path(folder) / "run", device="cpu")
        assert run.scores
    total = time.process_time() - prepared + spent["import"]
    print(f"{rows:,} rows of {kind}: {total - spent['train']:.1f} s outside of training, {spent['train']:.1f} s inside")
    for stage in ("import", *STAGES):
        print(f"  {stage:<14}{spent[stage]:8.2f} s")


def _timed(place: str, stage: str, spent: Counter[str]) -> None:
    """Puts a clock around a function or method."""
    module, _, path = place.partition(":")
    *way, name = path.split(".")
    home: Any = functools.reduce(getattr, way, importlib.import_module(module))
    inner: Callable[..., Any] = getattr(home, name)

    @functools.wraps(inner)
    def clocked(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        try:
            return inner(*args, **kwargs)
        finally:
            spent[stage] += time.process_time() - start  # pyright: ignore[reportArgumentType]

    setattr(home, name, clocked)


def _data(kind: str, rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    code = rng.integers(0, 6, rows)
    if kind == "image":
        pictures = rng.integers(0, 60, (rows, 32, 32, 3)) + 30 * code[:, None, None, None]
        return {"image": pictures.astype(np.uint8), "label": code}
    words = np.array(["red", "blue", "old", "new", "shoe", "hat"])
    texts = [f"{' '.join([words[c], *rng.choice(words, 4)])} {i}" for i, c in enumerate(code)]
    return {"text": texts, "label": words[code].tolist()}


if __name__ == "__main__":
    main()
