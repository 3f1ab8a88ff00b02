"""SimCSE with labels: an anchor attracts its positive; other positives and all hard negatives repel.

Take it for pairs or triples of texts, in the order anchor, positive, hard negative: a premise, what follows from it,
and what contradicts it. Rows may lack the hard negative. For example `kontrast train triples.jsonl --recipe
simcse_supervised`.

Parts: task `simcse` on two or three fields, cosine over temperature, a linear layer with tanh in training only.
Settings: `temperature` 0.05 and `hard_weight` 1, as in the paper, whose batches have 512 rows (`--set plan.batch=512`).
Reference: Gao et al. 2021, arXiv:2104.08821.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task; views and encoders follow from the data."""
    return Experiment(tasks=one_task("simcse"))
