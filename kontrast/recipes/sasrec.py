"""SASRec: a causal transformer predicts the next item of each history.

Take it for recommendation from sequences of items; `cl4srec` adds a contrast of augmented histories. For example
`kontrast train plays.jsonl --recipe sasrec`.

Parts: task `next_item`, encoder `sasrec`.
Settings: all items of the batch are negatives, one random item in the paper; `views.FIELD.left_out` 1 keeps each last
item for a test.
Reference: Kang, McAuley 2018, arXiv:1808.09781.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task; views and encoders follow from the data."""
    return Experiment(tasks=one_task("next_item"))
