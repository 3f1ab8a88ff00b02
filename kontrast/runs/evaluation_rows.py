"""How many rows a run is evaluated on: enough for useful intervals, fewer where its minutes are short."""

import time
from dataclasses import replace

import numpy as np

from kontrast.core.experiment import Experiment
from kontrast.core.number_format import number
from kontrast.data.dataset.dataset import Dataset
from kontrast.runs.model import Model
from kontrast.training.budget import SHARE, Budget

USUAL = 1500  # held-out rows: an accuracy of .80 is then known to 2 points either way
FEWEST = 100  # to 8 points
EARLIER = 5000  # of runs that were begun before this was a setting
TAUGHT = 2  # training rows that teach kNN and probe, per held-out row
_EMBEDDED = 1 + TAUGHT + 2  # rows encoded per held-out row: itself, those that teach, and two views of it
_TRIED = 32  # rows that are timed


def chosen(model: Model, data: Dataset, rows: np.ndarray, budget: Budget) -> int:
    """Held-out rows to evaluate at most, where the plan names no number.

    Only a run of so many minutes asks the clock; the number is then written into experiment.json, which resume and
    replay follow.

    Args:
        model: The model, whose speed is measured on a few rows.
        data: The dataset.
        rows: Places of training rows, in an order that has nothing to do with their length.
        budget: The minutes of the run.
    """
    if budget.minutes is None:
        return USUAL
    tried = rows[:_TRIED]
    began = time.perf_counter()
    model.embed(data, tried)
    each = (time.perf_counter() - began) / max(len(tried), 1)
    share = SHARE * 60 * budget.minutes
    seconds = max(share - budget.before, share / 3)
    return min(USUAL, max(FEWEST, int(seconds / max(each * _EMBEDDED, 1e-9))))


def pinned(experiment: Experiment, rows: int) -> Experiment:
    """The experiment with that number in its plan."""
    return replace(experiment, plan=replace(experiment.plan, evaluation_rows=rows))


def words(taught: tuple[int, int], looked: tuple[int, int], *, short: bool) -> str:
    """For the first screen; "" where all rows are evaluated.

    Args:
        taught: Training rows that teach kNN and probe, of all.
        looked: Held-out rows evaluated, of all.
        short: Whether the run's minutes decided.
    """
    if taught[0] == taught[1] and looked[0] == looked[1]:
        return ""
    why = f"; more would take over {SHARE:.0%} of the minutes" if short else ""
    return (
        f"on {number(looked[0])} of {number(looked[1])} held-out rows, taught by {number(taught[0])} of "
        f"{number(taught[1])} training rows{why}. Others: --set plan.evaluation_rows=N"
    )
