"""Speech recognition: the transcript of a sound is read off its dense features, position by position.

Take it for sounds, or series, with the words that are said in them. The run shows its word error rate and transcripts
of held-out rows, and `kontrast caption` writes those of new sounds.

Parts: task `ctc`.
Settings: sounds are heard whole, up to 20 s; characters are the targets.
Reference: Graves et al., ICML 2006; Baevski et al. 2020, arXiv:2006.11477, for fine-tuning with it.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task alone; encoders and views follow from the data."""
    return Experiment(tasks=one_task("ctc"))
