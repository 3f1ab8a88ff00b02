"""Spoken digits in a row: word error rate from frozen features of a pre-trained encoder, untrained, and of log-mel.

DATA/audio/fsdd_8k_flac.npz holds the Free Spoken Digits. Two to four clips of one speaker with short pauses are a
sentence; those of the test are made of the first five takes, which nothing else hears. The encoder is pre-trained on
clips and sentences without transcripts. As in SUPERB (Yang et al. 2021, arXiv:2105.01051) its features are frozen, and
one small network with a CTC head reads each kind of feature: here a dilated convolution, trained on few transcripts.
"""

import argparse
import io
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import torch

import kontrast as kt
from benchmarks.league.ours import processor_time
from benchmarks.reproductions.reproduction import Reproduction
from kontrast.evaluation.word_errors import edits
from kontrast.modalities.audio.audio import Audio
from kontrast.runs.build import learner_of
from kontrast.runs.model import Model
from kontrast.runs.run import Run

RATE, TAKES = 8000, 5  # samples per second; takes of the official test
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VIEW = 1.25  # seconds; at embedding four times as much is seen, longer than any sentence
STACK = 8  # log-mel frames per position, as many as a position of the encoder stands for
DRAWS = 1_000  # of the bootstrap
KINDS = ("log-mel", "untrained", "learned", "log-mel + learned")
END_TO_END = "transcripts alone"
READER = {
    "plan.batch": 32,
    "plan.learning_rate": 1e-2,
    "plan.monitor": 0,
    "plan.precision": "32",
    "views.features.normalise": "dataset",
    "encoders.series": {"name": "tcn", "hidden": 64, "out": 64, "depth": 3, "stride": 1},
    "encoders.text.width": 16,
    "tasks.contrast.per": 4,
}


class Speech(Reproduction):
    """Word error rate per contestant, and the paired difference to log-mel."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Seconds, recipe, transcripts, steps and seeds."""
        parser.add_argument("--seconds", type=float, default=60, help="of pre-training, and on transcripts alone")
        parser.add_argument("--recipe", help="of pre-training; default: the one that kontrast chooses")
        parser.add_argument("--transcripts", type=int, default=600, help="sentences with their words")
        parser.add_argument("--steps", type=int, default=1000, help="of the network that reads features")
        parser.add_argument("--seeds", type=int, nargs="*", default=[0])

    def run(self, asked: argparse.Namespace) -> str:
        """Plays the seeds that are not there yet."""
        found = []
        for seed in asked.seeds:
            name = f"{asked.recipe or 'default'}-{asked.seconds:g}-{asked.transcripts}-{asked.steps}-{seed}.json"
            kept = asked.out / name
            if not kept.is_file():
                kept.write_text(json.dumps(_play(asked, seed)))
            found.append(json.loads(kept.read_text()))
        return table(found)


def sentences(
    clips: Sequence[np.ndarray], digit: np.ndarray, speaker: np.ndarray, number: int, seed: int
) -> tuple[list[np.ndarray], list[str]]:
    """Sounds of two to four digits of one speaker, and their words.

    Args:
        clips: (T,) float32 each.
        digit: What each says, 0 to 9.
        speaker: Who says it.
        number: Sentences.
        seed: Of the draws.
    """
    rng, sounds, words = np.random.default_rng(seed), [], []
    for _ in range(number):
        own = np.flatnonzero(speaker == rng.choice(np.unique(speaker)))
        said = rng.choice(own, rng.integers(2, 5))
        pauses = (np.zeros(int(RATE * rng.uniform(0.03, 0.15)), np.float32) for _ in said)
        sounds.append(np.concatenate([part for clip in said for part in (clips[clip], next(pauses))]))
        words.append(" ".join(NAMES[digit[clip]] for clip in said))
    return sounds, words


def _play(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Errors and words of each test sentence by contestant, and the processor seconds of each."""
    clips, digit, speaker, take = _clips(asked.data / "audio" / "fsdd_8k_flac.npz")
    seen = np.flatnonzero(take >= TAKES)
    train, words = sentences([clips[n] for n in seen], digit[seen], speaker[seen], asked.transcripts, seed)
    unseen = np.flatnonzero(take < TAKES)
    test, true = sentences([clips[n] for n in unseen], digit[unseen], speaker[unseen], 150, seed + 1_000)
    longest = max(map(len, [*train, *test])) / RATE
    assert longest < 4 * VIEW, f"a sentence of {longest:.1f} s; expected less than {4 * VIEW:g}"
    errors, seconds = {}, {}
    with TemporaryDirectory() as folder:
        place, began = Path(folder), time.process_time()
        sounds = [(sound, RATE) for sound in [*(clips[n] for n in seen), *train]]
        settings = {"source.held_out": 0.0, "views.audio.seconds": VIEW}
        run = _trained({"audio": sounds}, asked, settings, seed, place / "encoder", asked.recipe)
        seconds["learned"] = time.process_time() - began
        features = _features(Model.load(run.folder), [*train, *test])
        for name, rows in features.items():
            began = time.process_time()
            data = {"features": rows[: len(train)], "words": words}
            how: dict[str, Any] = {"settings": {"source.held_out": 0.0, **READER}, "seed": seed, "steps": asked.steps}
            fields = {"features": "series", "words": "text"}
            reader = kt.train(data, recipe="speech", fields=fields, out=place / name, **how)
            errors[name] = _errors(reader.caption({"features": rows[len(train) :]}), true)
            seconds[name] = seconds.get(name, 0) + time.process_time() - began
        began = time.process_time()
        data = {"audio": [(sound, RATE) for sound in train], "words": words}
        settings = {"source.held_out": 0.0, "tasks.contrast.per": 4, "plan.batch": 32, "encoders.text.width": 16}
        run = _trained(data, asked, settings, seed, place / "alone", "speech")
        errors[END_TO_END] = _errors(run.caption({"audio": [(sound, RATE) for sound in test]}), true)
        seconds[END_TO_END] = time.process_time() - began
    return {"errors": errors, "words": [len(line.split()) for line in true], "seconds": seconds}


def _trained(
    data: dict[str, Any],
    asked: argparse.Namespace,
    settings: dict[str, Any],
    seed: int,
    out: Path,
    recipe: str | None,
) -> Run:
    """A run that ends after the processor time asked for."""
    with processor_time():
        return kt.train(data, recipe=recipe, minutes=asked.seconds / 60, settings=settings, seed=seed, out=out)


def _clips(file: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    with np.load(file) as archive:
        members = dict(archive)
    blob, ends = members["blob"].tobytes(), members["off"]
    clips = [soundfile.read(io.BytesIO(blob[a:b]), dtype="float32")[0] for a, b in pairwise(ends)]
    return clips, members["y"], members["speaker"], members["take"]


@torch.no_grad()
def _features(model: Model, sounds: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Features per position of each sound, (T, C), by their kind."""
    audio = model.modalities["audio"]
    assert isinstance(audio, Audio)
    untrained = replace(model, learner=learner_of(model.experiment, model.modalities, model.facts).eval())
    for one in (untrained, model):
        one.learner.encoders.keep_copies({"dense"})  # the pre-training may have switched them off
    found: dict[str, list[np.ndarray]] = {name: [] for name in KINDS}
    for sound in sounds:
        x = audio.preprocess(audio.collate([audio.pack(audio.read((sound, RATE), Path()))]))
        dense = [one.learner.encoders("audio", x).dense for one in (untrained, model)]
        assert dense[0] is not None
        assert dense[1] is not None
        mel = torch.nn.functional.pad(x[0, 0].nan_to_num(0.0), (0, -x.shape[-1] % STACK))  # frames to whole positions
        mel = mel.unflatten(1, (-1, STACK)).permute(1, 0, 2).flatten(1).numpy()
        parts = [mel, dense[0][0].numpy(), dense[1][0].numpy()]
        for name, part in zip(KINDS, [*parts, np.hstack([mel, parts[2]])], strict=True):
            found[name].append(part)
    return found


def _errors(said: Sequence[dict[str, Any]], true: Sequence[str]) -> list[int]:
    return [edits(one["caption"].split(), line.split()) for one, line in zip(said, true, strict=True)]


def table(found: Sequence[dict[str, Any]]) -> str:
    """Markdown: word error rate per contestant over all seeds, and its paired difference to log-mel with an interval.

    Args:
        found: Of each seed {"errors": contestant -> list, "words": list, "seconds": contestant -> number}.
    """
    words = np.concatenate([one["words"] for one in found]).astype(float)
    errors = {name: np.concatenate([one["errors"][name] for one in found]) for name in (*KINDS, END_TO_END)}
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(words), (DRAWS, len(words)))
    lines = ["| features | word error rate | less than log-mel | seconds |", "|---|---|---|---|"]
    for name, each in errors.items():
        gain = errors[KINDS[0]] - each
        low, high = np.quantile(gain[draws].sum(1) / words[draws].sum(1), (0.025, 0.975))
        less = "" if name == KINDS[0] else f"{gain.sum() / words.sum():+.3f} [{low:+.3f}, {high:+.3f}]"
        seconds = np.mean([one["seconds"][name] for one in found])
        lines.append(f"| {name} | {each.sum() / words.sum():.3f} | {less} | {seconds:.0f} |")
    return "\n".join(lines)
