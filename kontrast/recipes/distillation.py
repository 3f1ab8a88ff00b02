"""Distillation: a student embeds rows as a frozen teacher does.

Take it to make a small encoder of a large one. Name the teacher: `--set tasks.contrast.teacher=RUN` for a run folder,
`timm:NAME` or `transformers:NAME`; or a column of embeddings, `--field COLUMN=teacher`. Beside a contrast:
`--task simclr --task distillation:teacher=RUN,weight=0.5`.

Parts: task `distillation`, a head of two layers onto the teacher's width, light augmentation.
Settings: `how` regression (SimReg); similarity is that of SEED and CompRess.
Reference: Navaneet et al. 2021, arXiv:2201.05131; Fang et al. 2021, arXiv:2101.04731.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("distillation"))
