"""CVRL: SimCLR on clips of videos, with augmentations that are alike over the frames of a clip.

Take it for videos without labels or captions. For example `kontrast train clips/ --recipe cvrl`.

Parts: task `simclr`, two random clips per video, augmentations of images drawn once per clip.
Settings: temperature 0.1 and clips of 16 frames, every second one, as in the paper; clips are drawn uniformly, where
the paper prefers near ones.
Reference: Qian et al. 2021, arXiv:2008.03800.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and the clips; the encoder follows from the data."""
    clips = {"frames": 16, "stride": 2}
    return Experiment(tasks=one_task("simclr", {"temperature": 0.1}), views={"video": Choice("video", clips)})
