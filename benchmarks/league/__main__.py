"""Plays every cell that is not there yet, then prints the table.

    python -m benchmarks.league --data FOLDER --seconds 20 --out CELLS
    python -m benchmarks.league --data FOLDER --sets cifar10 FaceAll --contestants kontrast ts2vec --seeds 3
    python -m benchmarks.league --data FOLDER --out CELLS --table   # of what is there

A contestant has --seconds of processor time on one core to learn, from its first line on, however busy the machine is.
Reading the set, importing a library and the probe do not count. A set's verdict is of the paired difference of row
scores (the mean of both measures of a test row) with a 95 % bootstrap interval: BETTER or WORSE where it leaves out 0.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from benchmarks.league import found, table

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
PATIENCE = 60
"""A cell may take so many times its seconds of wall time; a machine may be busy, and probes and imports come on top."""
TOLD = ("kontrast", "torch", "scikit-learn", "lightly", "open_clip_torch", "sentence-transformers")


def main() -> None:
    """Play and print."""
    told = _arguments()
    there = found.sets(told.data)
    _known("set", told.sets, there)
    _known("contestant", told.contestants, found.contestants())
    told.out.mkdir(parents=True, exist_ok=True)
    if not told.table:
        _play(told, told.sets or list(there))
    cells = [c for c in table.read(told.out) if not told.sets or c["set"] in told.sets]
    if not cells:
        sys.exit(f"{told.out}: no finished cell.")
    print(table.markdown(cells))
    seconds = sorted({c["seconds"] for c in cells})
    print(
        f"\n{', '.join(_versions())}; {' and '.join(f'{s:g}' for s in seconds)} processor seconds on one core of "
        f"{os.cpu_count()}, {platform.machine()}; {len({c['seed'] for c in cells})} seed(s)"
    )


def _play(told: argparse.Namespace, sets: list[str]) -> None:
    """One cell after the other; one that fails is said and does not end the league."""
    skipped: set[str] = set()
    for name in sets:
        task = found.load(told.data, name)
        for who, made in found.contestants().items():
            contestant = made(told.out)
            if (told.contestants and who not in told.contestants) or not contestant.suits(task):
                continue
            if lacking := contestant.lacking():
                if who not in skipped:
                    _say(f"{contestant.title} is skipped: {', '.join(lacking)} is not installed.")
                skipped.add(who)
                continue
            # What does not learn for the time it is given has no luck to average.
            for seed in range(told.seeds if contestant.standing in ("ours", "peer") else 1):
                _cell(told, name, who, seed)


def _cell(told: argparse.Namespace, name: str, who: str, seed: int) -> None:
    out = told.out / f"{name}.{who}.{seed}.json"
    if out.is_file():
        return
    cell = [told.data, name, who, seed, told.seconds, out]
    command = [sys.executable, "-m", "benchmarks.league.cell", *map(str, cell)]
    began = time.perf_counter()
    try:
        ended = subprocess.run(
            command,
            env={**os.environ, **THREADS},
            capture_output=True,
            text=True,
            timeout=120 + PATIENCE * told.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        _say(f"{name}, {who}, seed {seed}: FAILED: took longer than {120 + PATIENCE * told.seconds:.0f} s")
        return
    words = f"{time.perf_counter() - began:.0f} s"
    if not out.is_file():
        words = "FAILED: " + (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
    _say(f"{name}, {who}, seed {seed}: {words}")


def _known(what: str, asked: list[str], there: object) -> None:
    assert isinstance(there, dict)
    unknown = [name for name in asked if name not in there]
    if unknown:
        sys.exit(f"no {what} '{unknown[0]}'; found {', '.join(there)}.")


def _versions() -> list[str]:
    told = []
    for package in TOLD:
        try:
            told.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            told.append(f"no {package}")
    return told


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    asked = argparse.ArgumentParser(
        prog="benchmarks.league", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("--data", type=Path, required=True, help="the folder that holds ucr/, cifar10/, text/ ...")
    asked.add_argument("--sets", nargs="*", default=[], help="these alone")
    asked.add_argument("--contestants", nargs="*", default=[], help="these alone")
    asked.add_argument("--seconds", type=float, default=20.0, help="processor seconds of each contestant")
    asked.add_argument("--seeds", type=int, default=1, help="of those that learn by contrast")
    asked.add_argument("--out", type=Path, default=Path("league"), help="the folder of finished cells")
    asked.add_argument("--table", action="store_true", help="play nothing, print what is there")
    return asked.parse_args()


if __name__ == "__main__":
    main()
