"""Bradley-Terry: a reward head on embeddings ranks the chosen field of a row above the rejected one.

Take it for a reward model of texts, pictures or series: fields `chosen` and `rejected`. For transcripts take a causal
language model: `kontrast train pairs.jsonl --recipe bradley_terry --encoder text=causal_lm`.

Parts: method `bradley_terry`, a linear head per encoder.
Settings: `margin` 0; `scored`, the weight of a score of each row in the margin.
Reference: Bradley & Terry 1952, Biometrika 39; Ouyang et al. 2022, arXiv:2203.02155.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("bradley_terry"))
