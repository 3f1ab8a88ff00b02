"""DenseCL: MoCo for rows and for their positions, each matched with the most similar one of the other view.

Take it if positions are used afterwards: places of a picture, instants of a series, tokens of a text. For example
`kontrast train photos/ --recipe densecl`.

Parts: task `densecl`, loss `infonce`, momentum copies of encoder and heads, two queues, a dense head.
Settings: weight 0.5 of the dense contrast and temperature 0.2 as in the paper; momentum 0.99 for runs of some hundred
steps, 0.999 in the paper; queues of at most 4,096 keys and half of the training rows, 65,536 in the paper.
Reference: Wang et al. 2021, arXiv:2011.09157.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and its settings; views and encoders follow from the data."""
    return Experiment(tasks=one_task("densecl"))
