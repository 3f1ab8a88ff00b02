"""CL4SRec: the next item is predicted, and two augmented views of a history attract.

Take it for recommendation from sequences of items, above all from few histories. For example `kontrast train
plays.jsonl --recipe cl4srec`.

Parts: tasks `next_item` and `simclr` on one encoder `sasrec`; views cropped, masked or reordered.
Settings: `tasks.contrast.weight` 0.1 as in the paper, `tasks.contrast.temperature` 0.2, shares `crop`, `mask` and
`reorder` of the view.
Reference: Xie et al. 2022, arXiv:2010.14395.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import MAIN, TaskChoice


def experiment() -> Experiment:
    """Both tasks; views and encoders follow from the data."""
    return Experiment(
        tasks={
            "next": TaskChoice(Choice("next_item")),
            MAIN: TaskChoice(Choice("simclr", {"hidden": 0, "width": 64}), weight=0.1),
        }
    )
