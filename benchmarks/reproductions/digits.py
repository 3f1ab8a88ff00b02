"""Spoken digits: learned and raw features under one linear probe, on the official split and on unseen speakers.

DATA/audio/fsdd_8k_flac.npz holds the Free Spoken Digits: 3,000 clips of 10 digits by 6 speakers. Official test: the
first five takes of each digit and speaker. Unseen speakers: two of the six, whom neither training nor probe hears.
"""

import argparse
import json

import numpy as np

from benchmarks.reproductions import sounds
from benchmarks.reproductions.reproduction import Reproduction

TAKES = 5  # of the official test
UNSEEN = (4, 5)  # speakers


class Digits(Reproduction):
    """Accuracy per split and contestant, and the paired gain over raw features."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Seconds, recipe and seeds."""
        parser.add_argument("--seconds", type=float, default=30, help="processor time per training")
        parser.add_argument("--recipe", help="default: the one that kontrast chooses")
        parser.add_argument("--seeds", type=int, nargs="*", default=[0])

    def run(self, asked: argparse.Namespace) -> str:
        """Plays the splits that are not there yet."""
        data = sounds.sounds(asked.data / "audio" / "fsdd_8k_flac.npz", "y")
        take, speaker = data.parts["take"], data.parts["speaker"]
        splits = {
            "official": (take >= TAKES, take < TAKES),
            "unseen speakers": (~np.isin(speaker, UNSEEN), np.isin(speaker, UNSEEN)),
        }
        rows = {}
        for name, (train, test) in splits.items():
            rows[name] = []
            for seed in asked.seeds:
                kept = asked.out / f"{name}-{asked.recipe or 'default'}-{asked.seconds:g}-{seed}.json"
                if not kept.is_file():
                    parts = np.flatnonzero(train), np.flatnonzero(test)
                    kept.write_text(json.dumps(sounds.play(data, *parts, asked.seconds, asked.recipe, seed)))
                rows[name].append(json.loads(kept.read_text()))
        return sounds.table(rows)
