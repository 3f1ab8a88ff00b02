"""SCARF: a row of a table and the row with most of its cells from other rows attract.

Take it for tables without labels. Which cells are replaced is drawn per row; each comes from the column's own marginal
distribution.

Parts: task `simclr` with `clean`; the corruption is that of the table.
Settings: `corrupt` 0.6 and temperature 1 as in the paper.
Reference: Bahri et al. 2022, arXiv:2106.15147.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task and the corruption; columns and encoder follow from the data."""
    settings = {"clean": True, "temperature": 1.0}
    return Experiment(views={"table": Choice("table", {"corrupt": 0.6})}, tasks=one_task("simclr", settings))
