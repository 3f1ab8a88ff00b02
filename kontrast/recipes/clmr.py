"""CLMR: SimCLR on waveforms of music, with a chain of studio effects.

Take it for music, with much data: it learns from the samples themselves. For example `kontrast train songs/ --recipe
clmr`.

Parts: task `simclr`, encoder `sample_cnn`, waveforms with noise, gain, filter, pitch, reverb and inverted polarity.
Settings: temperature 0.5 and views of 2.7 s (59,049 samples at 22,050 per second), as in the paper; 16,000 samples per
second here.
Reference: Spijkervet, Burgoyne 2021, arXiv:2103.09410.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task, its encoder of waveforms and the effects."""
    effects = {"noise": 0.3, "gain": 6.0, "filter": 0.4, "reverb": 0.3, "pitch": 2.0, "polarity": 0.8}
    return Experiment(
        tasks=one_task("simclr", {"temperature": 0.5}),
        views={"audio": Choice("audio", {"input": "wave", "seconds": 2.7, **effects})},
        encoders={"audio": Choice("sample_cnn")},
    )
