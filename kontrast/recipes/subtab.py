"""SubTab: two subsets of a row's columns attract, and each predicts the whole row.

Take it for tables without labels whose columns tell of each other.

Parts: tasks `simclr` and `reconstruction` on the same views, which show a share of the columns.
Settings: `subset` 0.75 of the columns, as their four subsets with three quarters overlap; the embedding is that of the
whole row, not the mean over subsets.
Reference: Ucar et al. 2021, arXiv:2110.04361.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import TaskChoice


def experiment() -> Experiment:
    """The tasks and the subsets; columns and encoder follow from the data."""
    return Experiment(
        views={"table": Choice("table", {"corrupt": 0.0, "subset": 0.75})},
        tasks={
            "contrast": TaskChoice(Choice("simclr", {"temperature": 0.1})),
            "reconstruction": TaskChoice(Choice("reconstruction")),
        },
        serve="contrast",
    )
