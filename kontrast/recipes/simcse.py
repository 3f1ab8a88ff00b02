"""SimCSE without labels: a text is itself under another dropout, other texts repel.

Take it for one field of text, where every augmentation would change the meaning. The encoder needs dropout. For example
`kontrast train sentences.txt --recipe simcse`.

Parts: task `simcse` on one field, cosine over temperature, a linear layer with tanh in training only.
Settings: `temperature` 0.05 and batches of 64, as in the paper, which trains a pretrained model for one epoch of a
million sentences of at most 32 tokens, at 0.00003: `--encoder text=transformer --epochs 1`.
Reference: Gao et al. 2021, arXiv:2104.08821.
"""

from kontrast.core.experiment import Experiment, Plan
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and the batch; views and encoders follow from the data."""
    return Experiment(tasks=one_task("simcse"), plan=Plan(batch=64))
