"""Sounds of ten kinds (ESC-10): learned and raw features under one linear probe, on the official folds.

DATA/audio/esc10_16k_ogg.npz holds 400 clips of 5 s in five folds; each fold is the test once. People name .957 of them,
the paper's nearest neighbours on cepstra .667, its random forest .727.
"""

import argparse
import json

import numpy as np

from benchmarks.reproductions import sounds
from benchmarks.reproductions.reproduction import Reproduction


class ESC10(Reproduction):
    """Accuracy over the folds per contestant, and the paired gain over raw features."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Seconds, recipe, seed and folds."""
        parser.add_argument("--seconds", type=float, default=30, help="processor time per training")
        parser.add_argument("--recipe", help="default: the one that kontrast chooses")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--folds", type=int, nargs="*", default=[1, 2, 3, 4, 5])

    def run(self, asked: argparse.Namespace) -> str:
        """Plays the folds that are not there yet."""
        data = sounds.sounds(asked.data / "audio" / "esc10_16k_ogg.npz", "y")
        found = []
        for fold in asked.folds:
            kept = asked.out / f"{fold}-{asked.recipe or 'default'}-{asked.seconds:g}-{asked.seed}.json"
            if not kept.is_file():
                test = data.parts["fold"] == fold
                parts = np.flatnonzero(~test), np.flatnonzero(test)
                kept.write_text(json.dumps(sounds.play(data, *parts, asked.seconds, asked.recipe, asked.seed)))
            found.append(json.loads(kept.read_text()))
        return sounds.table({f"folds {', '.join(map(str, asked.folds))}": found})
