"""SimSiam: from one view, predicts the embedding of the other, which gets no gradient.

Take it for data without labels if negatives are unwanted and memory for a second encoder is scarce. With
`--set tasks.contrast.stop_gradient=false` it collapses, which shows what the stop-gradient is for.

Parts: task `simsiam`, negative cosine, a predictor with a bottleneck.
Settings: head of two layers of width 512, three of 2,048 in the paper; bottleneck a quarter of that, as in the paper;
no batch norm after the head, which most runs of the paper have (`--set tasks.contrast.output_norm=true`).
Reference: Chen & He 2021, arXiv:2011.10566.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("simsiam"))
