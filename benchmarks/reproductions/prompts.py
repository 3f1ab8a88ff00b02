"""Telephone prompts in five languages: a phrase in one language finds the same phrase in another, and its English text.

DATA/audio/asterisk5_sub_ogg.npz holds 344 phrases, each spoken in English, Spanish, French, Italian and Russian, with
their English words. A row is a phrase and its languages are fields, with one encoder for all sounds.
"""

import argparse

from benchmarks.reproductions import crossing, sounds
from benchmarks.reproductions.reproduction import Reproduction

SECONDS = 1.0  # of a view; at embedding four times as much is heard


class Prompts(Reproduction):
    """R@1 and R@10 among held-out phrases, between languages and the words."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Options of the training, and the languages."""
        crossing.arguments(parser)
        parser.add_argument("--languages", nargs="*", default=["en", "es", "fr", "it", "ru"])

    def run(self, asked: argparse.Namespace) -> str:
        """Trains, if it has not been done yet."""
        data = sounds.sounds(asked.data / "audio" / "asterisk5_sub_ogg.npz", "lang")
        said = dict(zip(zip(data.labels, data.parts["key"], strict=True), data.cells, strict=True))
        rows = {one: [said.get((one, key)) for key in data.parts["keys"]] for one in asked.languages}
        rows["words"] = data.parts["en_text"].tolist()
        settings = {f"views.{language}.seconds": SECONDS for language in asked.languages}
        name = f"{'-'.join(asked.languages)}-{asked.recipe or 'default'}-{asked.seconds:g}-{asked.seed}.json"
        return crossing.retrieved(rows, asked, settings, asked.out / name)
