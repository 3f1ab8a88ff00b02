"""Tux Paint stamps: pictures, English sentences and spoken Spanish ones, which not all stamps have, find each other.

DATA/tuxpaint holds 785 stamps of 96 x 96 pixels with a sentence each, and a spoken Spanish sentence of 741: rows that
lack their sound take part with the others. Stamps of one kind share sentences ("A frog."), so that no method finds all.
"""

import argparse
import json
from itertools import pairwise

import numpy as np

from benchmarks.reproductions import crossing
from benchmarks.reproductions.reproduction import Reproduction

STEP = 3  # every so many pixels of 96 are averaged: 32 x 32


class Stamps(Reproduction):
    """R@1 and R@10 among held-out stamps, each way between picture, sentence and sound."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Options of the training."""
        crossing.arguments(parser)

    def run(self, asked: argparse.Namespace) -> str:
        """Trains, if it has not been done yet."""
        folder = asked.data / "tuxpaint"
        lines = json.loads((folder / "stamps.json").read_text(encoding="utf8"))
        pictures = np.load(folder / "stamps96.npz")["X"]
        side = pictures.shape[1] // STEP
        small = pictures.reshape(-1, side, STEP, side, STEP, 3).mean((2, 4)).round().astype(np.uint8)
        with np.load(folder / "speech_es_ogg.npz") as archive:
            blob, ends = archive["blob"].tobytes(), archive["off"]
        rows = {
            "picture": list(small),
            "sentence": [line["text"]["en"] for line in lines],
            "speech": [blob[a:b] or None for a, b in pairwise(ends)],
        }
        name = f"{asked.recipe or 'default'}-{asked.seconds:g}-{asked.seed}.json"
        return crossing.retrieved(rows, asked, {}, asked.out / name)
