"""What the tables of rows with several fields share: a training, and the retrieval of one field by another."""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import kontrast as kt
from benchmarks.league.ours import processor_time


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a training."""
    parser.add_argument("--seconds", type=float, default=60, help="processor time of the training")
    parser.add_argument("--recipe", help="default: the one that kontrast chooses")
    parser.add_argument("--seed", type=int, default=0)


def retrieved(data: dict[str, Any], asked: argparse.Namespace, settings: dict[str, Any], kept: Path) -> str:
    """Trains on four fifths of the rows; a Markdown table of how the held-out rows find each other.

    Args:
        data: Column -> cells.
        asked: `seconds`, `recipe` and `seed`.
        settings: Of the run.
        kept: File of the finished numbers.
    """
    if not kept.is_file():
        began = time.process_time()
        with tempfile.TemporaryDirectory() as folder, processor_time():
            run = kt.train(
                data,
                recipe=asked.recipe,
                minutes=asked.seconds / 60,
                settings=settings,
                seed=asked.seed,
                out=Path(folder) / "run",
            )
            scores = [dict(row) for row in run.scores if "R@" in row["name"]]
        kept.write_text(json.dumps({"scores": scores, "seconds": time.process_time() - began}))
    return table(**json.loads(kept.read_text()))


def table(scores: list[dict[str, Any]], seconds: float) -> str:
    """Markdown: each number with raw features, untrained and learned, and the paired difference to untrained."""
    lines = ["| found | rows | chance | raw | untrained | learned | learned - untrained |", "|---" * 7 + "|"]
    for row in scores:
        values = [_number(row.get(one)) for one in ("raw", "untrained", "trained")]
        gain = (row.get("paired") or {}).get("untrained")
        lines.append(
            f"| {row['name']} | {row.get('rows', '')} | {_number(row.get('chance'))} | {' | '.join(values)} | "
            f"{_number(gain, '+')} |"
        )
    return "\n".join([*lines, "", f"{seconds:.0f} seconds of processor time."])


def _number(found: Any, sign: str = "") -> str:
    """A value with its interval; empty if it is not known."""
    value = found.get("value") if isinstance(found, dict) else found
    if value is None:
        return ""
    ends = (found.get("low"), found.get("high")) if isinstance(found, dict) else (None, None)
    return f"{value:{sign}.3f}" + ("" if None in ends else f" [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]")
