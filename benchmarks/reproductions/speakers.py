"""Speaker verification and few-shot keywords on spoken digits: voices, and words, that training never heard.

DATA/audio/fsdd_8k_flac.npz holds the Free Spoken Digits. Verification trains on clips of three speakers and tells the
other three apart: the equal error rate over all pairs of their clips of the official test. Keywords trains on the
digits 0 to 4 and recognises 5 to 9, five ways, from one or five clips of each. Neither uses a label in training.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.reproductions import sounds
from benchmarks.reproductions.reproduction import Reproduction
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.eer import EER
from kontrast.evaluation.few_shot import FewShot
from kontrast.evaluation.intervals import apart, find_all, interval

TAKES = 5  # of the official test
SPEAKERS, WORDS = (3, 4, 5), (5, 6, 7, 8, 9)  # held out


class Speakers(Reproduction):
    """Equal error rate of unseen speakers, and accuracy on unseen words, per contestant and against raw features."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Seconds, recipe and seed."""
        parser.add_argument("--seconds", type=float, default=30, help="processor time per training")
        parser.add_argument("--recipe", help="default: the one that kontrast chooses")
        parser.add_argument("--seed", type=int, default=0)

    def run(self, asked: argparse.Namespace) -> str:
        """Plays both parts if they are not there yet."""
        data = sounds.sounds(asked.data / "audio" / "fsdd_8k_flac.npz", "y")
        take, speaker, digit = (data.parts[name] for name in ("take", "speaker", "y"))
        parts = {
            "verification": (np.isin(speaker, SPEAKERS), speaker, EER()),
            "keywords": (np.isin(digit, WORDS), digit, FewShot()),
        }
        rows: dict[str, Any] = {}
        for name, (unseen, label, evaluator) in parts.items():
            kept = asked.out / f"{name}-{asked.recipe or 'default'}-{asked.seconds:g}-{asked.seed}.json"
            if not kept.is_file():
                train, test = np.flatnonzero(~unseen & (take >= TAKES)), np.flatnonzero(unseen & (take < TAKES))
                features, took = sounds.represented(data, train, asked.seconds, asked.recipe, asked.seed)
                found = {one: find_all([evaluator], *_tables(x, train, test, label)) for one, x in features.items()}
                kept.write_text(json.dumps({"seconds": took, "numbers": numbers(found)}))
            rows[name] = json.loads(kept.read_text())
        return table(rows)


def _tables(
    x: np.ndarray, train: np.ndarray, test: np.ndarray, label: np.ndarray
) -> tuple[EmbeddingTable, EmbeddingTable]:
    """Embeddings of training and test rows, standardised by the training rows, of length one."""
    x = (x - x[train].mean(0)) / x[train].std(0).clip(1e-6)
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    one, two = (EmbeddingTable({"audio": x[n]}, n.astype(str), label[n].astype(str)) for n in (train, test))
    return one, two


def numbers(found: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Number -> contestant -> value, ends, and the difference to raw features with its ends."""
    raw = found["raw"]
    return {
        number: {
            one: [mine[number].evidence.value, *interval(mine[number]), *apart(raw[number], mine[number])]
            for one, mine in found.items()
        }
        for number in raw
    }


def table(rows: Mapping[str, Any]) -> str:
    """Markdown: each number per contestant, and the paired difference of learned to raw features.

    Args:
        rows: Part -> {"seconds", "numbers"}, as `run` keeps them.
    """
    names = sounds.CONTESTANTS
    lines = [f"| number | {' | '.join(names)} | learned - raw | raw + learned - raw | seconds |"]
    lines.append("|---" * (len(names) + 4) + "|")
    for part, found in rows.items():
        for number, of in found["numbers"].items():
            values = [f"{of[one][0]:.3f} [{of[one][1]:.3f}, {of[one][2]:.3f}]" for one in names]
            gains = ["{:+.3f} [{:+.3f}, {:+.3f}]".format(*of[one][3:]) for one in names[2:]]
            lines.append(f"| {part}: {number} | {' | '.join([*values, *gains])} | {found['seconds']:.0f} |")
    return "\n".join(lines)
