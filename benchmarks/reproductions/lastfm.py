"""Recommendation from histories: LastFM or Beauty of S3-Rec, next item alone and with a contrast, beside older methods.

DATA/recsys/NAME.txt holds a user per line: a number, and the items in order. The last item is the test, the one before
it is left out of training too, as by S3-Rec's authors, whose HR@10 among 99 drawn items is .459 without and .608 with
contrastive pre-training on LastFM, .465 and .569 on Beauty; theirs also learns from attributes of items, ours does not.
ALS and BPR are those of the package implicit, which is left out if it is not installed.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import kontrast as kt
from benchmarks.league.ours import processor_time
from benchmarks.reproductions.reproduction import Reproduction
from benchmarks.reproductions.sounds import interval
from kontrast.evaluation.recommendation import drawn, hits_and_gains, places
from kontrast.runs.model import Model
from kontrast.runs.recommendations import recommender

OURS = ("sasrec", "cl4srec")
FACTORS, ROUNDS = 64, 15  # of ALS
BPR_ROUNDS = 200


class LastFM(Reproduction):
    """HR and NDCG per contestant among 99 drawn items and among all, and the paired gain of the contrast."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Set, seconds, batch, learning rate and seeds."""
        parser.add_argument("--set", default="LastFM", choices=("LastFM", "Beauty"), dest="name")
        parser.add_argument("--seconds", type=float, default=300, help="processor time per training")
        parser.add_argument("--batch", type=int, default=128)
        parser.add_argument("--seeds", type=int, nargs="*", default=[0])

    def run(self, asked: argparse.Namespace) -> str:
        """Plays the contestants that are not there yet."""
        rows = [line.split()[1:] for line in (asked.data / "recsys" / f"{asked.name}.txt").read_text().splitlines()]
        names = sorted({one for row in rows for one in row})
        number = {name: place for place, name in enumerate(names)}
        coded = [np.array([number[one] for one in row]) for row in rows]
        barred = np.zeros((len(rows), len(names)), bool)
        for line, row in zip(barred, coded, strict=True):
            line[row[:-1]] = True
        wanted = np.array([row[-1] for row in coded])
        found, seconds = {}, {}
        sets = {"99 drawn": drawn(barred, wanted, 0), "all": barred}
        for seed in asked.seeds:
            for name in ("popularity", "als", "bpr", *OURS):
                kept = asked.out / f"{asked.name}-{name}-{asked.seconds:g}-{asked.batch}-{seed}.json"
                if not kept.is_file():
                    began = time.process_time()
                    score = (
                        _ours(rows, names, name, asked, seed) if name in OURS else _older(coded, len(names), name, seed)
                    )
                    if score is None:
                        continue
                    at = {which: places(score, wanted, out).tolist() for which, out in sets.items()}
                    kept.write_text(json.dumps({"places": at, "seconds": time.process_time() - began}))
                one: dict[str, Any] = json.loads(kept.read_text())
                found.setdefault(name, []).append(one["places"])
                seconds.setdefault(name, []).append(one["seconds"])
        return table(found, seconds)


def table(found: dict[str, list[dict[str, list[float]]]], seconds: dict[str, list[float]]) -> str:
    """Markdown: the numbers of each contestant, all seeds together, and the paired gain of the contrast."""
    heads = [f"{name} {which}" for which in ("99 drawn", "all") for name in ("HR@5", "HR@10", "NDCG@10")]
    lines = ["| contestant | " + " | ".join(heads) + " | seconds |", "|---" * (len(heads) + 2) + "|"]
    joined = {n: {w: np.concatenate([np.array(p[w]) for p in parts]) for w in parts[0]} for n, parts in found.items()}
    for name, at in joined.items():
        numbers = {f"{key} {w}": value for w, one in at.items() for key, value in hits_and_gains(one, (5, 10)).items()}
        cells = [f"{numbers[head]:.3f}".lstrip("0") for head in heads]
        lines.append("| " + " | ".join([name, *cells, f"{np.mean(seconds[name]):.0f}"]) + " |")
    if set(OURS) <= set(joined):
        one, other = ((joined[name]["99 drawn"] < 10).astype(float) for name in OURS)
        lines += ["", f"HR@10 among 99 drawn items, cl4srec - sasrec: {interval(other - one)}."]
    return "\n".join(lines)


def _ours(rows: list[list[str]], names: list[str], recipe: str, asked: argparse.Namespace, seed: int) -> np.ndarray:
    """Scores of all items after all but the last item, of a run that never saw the last two."""
    history = [row[:-1] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        with processor_time():
            run = kt.train(
                {"history": history},
                fields={"history": "history"},
                recipe=recipe,
                minutes=asked.seconds / 60,
                settings={
                    "source.held_out": 0.0,
                    "views.history.left_out": 1,
                    "plan.batch": asked.batch,
                    "scores": ["geometry"],
                },
                seed=seed,
                out=Path(folder) / "run",
            )
        made = recommender(Model.load(run.folder))
    packed = [made.history.pack(made.history.read(row, Path())) for row in history]
    known = np.concatenate([made.scores(packed[start : start + 256]) for start in range(0, len(packed), 256)])
    score = np.full((len(rows), len(names)), known.min() - 1)
    place = {name: number for number, name in enumerate(names)}
    score[:, [place[name] for name in made.history.names]] = known
    return score


def _older(coded: list[np.ndarray], items: int, name: str, seed: int) -> np.ndarray | None:
    """Scores of popularity, or of matrix factorisations of the package implicit; None without it."""
    seen = np.zeros((len(coded), items), np.float32)
    for line, row in zip(seen, coded, strict=True):
        line[row[:-1]] = 1
    if name == "popularity":
        return np.tile(seen.sum(0), (len(coded), 1))
    try:
        from implicit.als import AlternatingLeastSquares
        from implicit.bpr import BayesianPersonalizedRanking
        from scipy.sparse import csr_matrix
    except ImportError:
        return None
    if name == "als":
        made: Any = AlternatingLeastSquares(FACTORS, iterations=ROUNDS, num_threads=1, random_state=seed)
    else:
        made = BayesianPersonalizedRanking(FACTORS, iterations=BPR_ROUNDS, num_threads=1, random_state=seed)
    made.fit(csr_matrix(seen), show_progress=False)
    return np.asarray(made.user_factors) @ np.asarray(made.item_factors).T
