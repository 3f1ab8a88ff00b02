"""GraphCL: two views of a graph, each after another change of its nodes, edges or features, attract.

Take it for whole graphs and molecules without labels. Each view drops nodes or edges, hides features of nodes, or keeps
a connected part, drawn per row.

Parts: task `simclr` with InfoNCE on cosine; the changes of `graph` and `molecule`, encoder `gin`.
Settings: temperature 0.2, as in the authors' code; each change takes a fifth, the default of both kinds of data.
Reference: You et al. 2020, arXiv:2010.13902.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task; changes and encoder follow from the data."""
    return Experiment(tasks=one_task("simclr", {"temperature": 0.2}))
