"""Losses forward and backward beside public libraries: seconds, extra memory, and distance from the bare products.

    python -m benchmarks.losses                       # 512, 2,048, 8,192 and 65,536 pairs, one thread
    python -m benchmarks.losses --pairs 512 2048 --losses NT-Xent SupCon --repeats 3
    python -m benchmarks.losses --small --repeats 41  # 128, 256 and 512 pairs, everyone in turn in one process

Every cell is a process of its own: a small problem first, then one step whose growth of the peak resident memory is the
extra memory (gradients of the embeddings included), then steps in turn with the bare matrix products of that shape
(similarity, and its product with either side, in tiles; three in all). What would not fit, or not end within `--cap`
seconds by the square law, is not run.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.contestants import CONTESTANTS, CUBIC, FACING
from kontrast.losses.tile_weights import usual

LIBRARIES = {
    "lightly": "lightly",
    "pytorch-metric-learning": "pytorch_metric_learning",
    "open_clip": "open_clip",
    "sentence-transformers": "sentence_transformers",
}
PACKAGES = {"open_clip": "open_clip_torch"}
NOTES = [
    "SupCon, triplet: labels; 100 classes, and classes of 8 rows. NT-Xent, SupCon, triplet compare 2 x pairs rows, "
    "the others pairs x pairs.",
    "pytorch-metric-learning's NT-Xent averages pairs, not anchors (the same with two views). Triplets: all, of "
    "squared distances, satisfied ones included; sentence-transformers' BatchAll averages the violated ones only.",
    "sentence-transformers' cached loss is CLIP's in both directions (CachedMultipleNegativesSymmetricRanking), chunks "
    "of 512; its column sums are in chunks too.",
    "CLIP needs 4 products here and NT-Xent 2 (one matrix for both directions); the bare count is 3 for each.",
    "'own' is a user's dense loss of five lines: through `contrast`, and over the whole matrix.",
]


PILOT = 128  # pairs, to foresee what the first size takes


# One cell, in a process of its own


def problem(loss: str, n: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, width, generator=g, requires_grad=True) for _ in range(2))
    classes = max(2, n // 4) if loss == "triplet" else 100
    return x, y, torch.arange(n)[torch.randperm(n, generator=g)] % classes


def bare(rows: int, width: int) -> float:
    """Seconds of the three products in tiles; of many tiles only some are timed."""
    a, c = torch.randn(rows, width), torch.randn(rows, width)
    d_a, d_c, step = torch.empty_like(a), torch.zeros_like(c), max(1, usual(rows) // rows)
    timed = range(0, min(rows, max(step, 2**28 // rows)), step)
    began = time.perf_counter()
    for i in timed:
        s = a[i : i + step] @ c.T
        torch.mm(s, c, out=d_a[i : i + step])
        d_c.addmm_(s.T, a[i : i + step])
    return (time.perf_counter() - began) * rows / min(rows, len(timed) * step)


def resident(field: str) -> int:
    words = Path("/proc/self/status").read_text().split(f"{field}:")[1].split()
    return int(words[0]) * 1024


def cell(loss: str, who: str, n: int, width: int, repeats: int, cap: float) -> dict[str, Any]:
    run = CONTESTANTS[loss][who]

    def step(x: Tensor, y: Tensor, labels: Tensor) -> float:
        x.grad = y.grad = None
        began = time.perf_counter()
        value = run(x, y, labels)
        if value.requires_grad:
            value.backward()
        return time.perf_counter() - began

    step(*problem(loss, 32, width))
    given, rows = problem(loss, n, width), n if loss in FACING else 2 * n
    bare(64, width)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    first = step(*given)
    extra = resident("VmHWM") - before
    seconds, bares = [], [bare(rows, width)]
    while len(seconds) < repeats and first + sum(seconds) * 2 < cap / 2:
        seconds.append(step(*given))
        bares.append(bare(rows, width))
    return {"seconds": seconds or [first], "bare": bares, "extra": extra}


# Small batches: everyone in turn, in one process


SMALL = ("CLIP", "SigLIP", "NT-Xent", "SupCon", "Barlow Twins", "VICReg")


def turns(loss: str, n: int, width: int, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of each contestant, one step each in every turn."""
    given = problem(loss, n, width)
    there = [who for who in CONTESTANTS[loss] if who not in LIBRARIES or importlib.util.find_spec(LIBRARIES[who])]
    found: dict[str, list[float]] = {who: [] for who in there}
    for turn in range(repeats + 3):
        for who in there:
            given[0].grad = given[1].grad = None
            began = time.process_time()
            value = CONTESTANTS[loss][who](*given)
            if value.requires_grad:
                value.backward()
            if turn >= 3:
                found[who].append(1000 * (time.process_time() - began))
    return found


def small(width: int, repeats: int) -> list[str]:
    """The table of 128, 256 and 512 pairs; the bar is twice plain PyTorch, or 1 ms more."""
    lines = ["| loss | pairs | of | ms, median (10 to 90 %) | times plain | bar |", "|" + " --- |" * 6]
    for loss in SMALL:
        for n in (128, 256, 512):
            found = turns(loss, n, width, repeats)
            plain = found["plain PyTorch"]
            for who, ms in found.items():
                low, *_, high = statistics.quantiles(ms, n=10)
                ratio = statistics.median(a / b for a, b in zip(ms, plain, strict=True))
                more = statistics.median(a - b for a, b in zip(ms, plain, strict=True))
                bar = f"{more:+.2f} ms: {'pass' if ratio <= 2 or more <= 1 else 'FAIL'}" if who == "kontrast" else ""
                spread = f"{statistics.median(ms):.2f} ({low:.2f} to {high:.2f})"
                lines.append(f"| {loss} | {n} | {who} | {spread} | {ratio:.2f} | {bar} |")
                print(lines[-1], file=sys.stderr, flush=True)
    return lines


# All cells, and the table


def available() -> int:
    return int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) * 1024


def measured(loss: str, who: str, n: int, before: tuple[int, dict] | None, given: argparse.Namespace) -> dict[str, Any]:
    """The cell's numbers, or a `note` why there are none."""
    if who in LIBRARIES and importlib.util.find_spec(LIBRARIES[who]) is None:
        return {"note": "not installed"}
    if before is not None:
        grown = (n / before[0]) ** (3 if (loss, who) in CUBIC else 2)
        needs, takes = before[1]["extra"] * grown, statistics.median(before[1]["seconds"]) * grown
        if who != "kontrast" and needs > 0.8 * available():
            return {"note": f"would need {needs / 1e9:,.0f} GB"}
        if takes > given.cap:
            return {"note": f"would take {takes:,.0f} s"}
    words = [loss, who, n, given.width, given.repeats, given.cap]
    call = [sys.executable, "-W", "ignore", "-m", "benchmarks.losses", "--threads", str(given.threads), "--cell"]
    try:
        done = subprocess.run([*call, json.dumps(words)], capture_output=True, text=True, timeout=3 * given.cap + 120)
    except subprocess.TimeoutExpired:
        return {"note": f"took over {3 * given.cap + 120:,.0f} s"}
    if done.returncode:
        return {"note": f"failed ({done.returncode}): {(done.stderr.strip().splitlines() or ['killed'])[-1][:80]}"}
    return json.loads(done.stdout.splitlines()[-1])


def bars(loss: str, n: int, found: dict[str, dict]) -> str:
    """Passed and FAILED bars of kontrast's cell."""
    ours, tests = found["kontrast"], {}
    time_ = {who: statistics.median(c["seconds"]) for who, c in found.items() if "seconds" in c}
    bare_ = statistics.median(ours["bare"])
    if n == 8192 and loss == "NT-Xent" and "lightly" in time_:
        tests["time/lightly"] = (time_["kontrast"] / time_["lightly"], 1 / 4)
        tests["memory/lightly"] = (ours["extra"] / found["lightly"]["extra"], 1 / 20)
        tests["time/bare"] = (time_["kontrast"] / bare_, 1.15)
        tests["time/bare, hard"] = (time_["kontrast"] / bare_, 2.0)
    elif n == 8192 and "plain PyTorch" in time_:
        tests["time/whole"] = (time_["kontrast"] / time_["plain PyTorch"], 1.0)
        tests["memory/whole"] = (ours["extra"] / found["plain PyTorch"]["extra"], 1 / 10)
    if n == 65_536:
        tests["GB"] = (ours["extra"] / 1e9, 1.0)
    said = (f"{name} {x:.2f} (<= {most:.2f}) {'pass' if x <= most else 'FAIL'}" for name, (x, most) in tests.items())
    return "; ".join(said)


def table(results: dict[tuple[str, int], dict[str, dict]]) -> list[str]:
    lines = [
        "| loss | pairs | of | seconds, median (least to most) | times bare | extra MB | bars |",
        "|" + " --- |" * 7,
    ]
    for (loss, n), found in results.items():
        for who, c in found.items():
            if "note" in c:
                lines.append(f"| {loss} | {n:,} | {who} | {c['note']} | | | |")
                continue
            s, b = c["seconds"], statistics.median(c["bare"])
            spread = f"{statistics.median(s):.3g} ({min(s):.3g} to {max(s):.3g})"
            bar = bars(loss, n, found) if who == "kontrast" else ""
            times, extra = statistics.median(s) / b, c["extra"] / 1e6
            lines.append(f"| {loss} | {n:,} | {who} | {spread} | {times:.2f} | {extra:,.0f} | {bar} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[512, 2048, 8192, 65_536])
    parser.add_argument("--losses", nargs="+", default=[*CONTESTANTS], choices=[*CONTESTANTS])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cap", type=float, default=240, help="seconds a cell may take")
    parser.add_argument("--small", action="store_true", help="128, 256 and 512 pairs, in turn in one process")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.cell:
        print(json.dumps(cell(*json.loads(given.cell))))
        return
    if given.small:
        print("\n".join([*small(given.width, given.repeats), "", versions(given)]))
        return
    results: dict[tuple[str, int], dict[str, dict]] = {}
    for loss in given.losses:
        last: dict[str, tuple[int, dict]] = {}
        for n in [PILOT, *sorted(given.pairs)]:
            for who in CONTESTANTS[loss]:
                found = measured(loss, who, n, last.get(who), given)
                if "seconds" in found:
                    last[who] = (n, found)
                if n != PILOT:
                    results.setdefault((loss, n), {})[who] = found
                print(f"{loss} {n:,} {who}: {json.dumps(found)}", file=sys.stderr, flush=True)
    print("\n".join([*table(results), "", *(f"- {note}" for note in NOTES), ""]))
    print(versions(given))


def versions(given: argparse.Namespace) -> str:
    there = ["torch", *(name for name, module in LIBRARIES.items() if importlib.util.find_spec(module))]
    told = ", ".join(f"{name} {importlib.metadata.version(PACKAGES.get(name, name))}" for name in there)
    return f"{told}; {given.threads} thread(s) of {os.cpu_count()} cores, width {given.width}"


if __name__ == "__main__":
    main()
