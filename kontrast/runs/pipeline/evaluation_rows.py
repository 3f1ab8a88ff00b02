"""Chooses the number of rows that a run is evaluated on."""

import time
from dataclasses import replace

import numpy as np

from kontrast.core.experiment import Experiment
from kontrast.core.number_format import number
from kontrast.data.dataset.dataset import Dataset
from kontrast.runs.model import Model
from kontrast.training.budget import SHARE, Budget

USUAL = 1500  # held-out rows: the 95 % interval of an accuracy of .80 is then 2 points either way
FEWEST = 100  # held-out rows: 8 points either way
EARLIER = 5000  # held-out rows of runs that were begun before this was a setting
TAUGHT = 2  # training rows for kNN and probe, per held-out row
_EMBEDDED = 1 + TAUGHT + 2  # rows encoded per held-out row: itself, its training rows, and two views of it
_TRIED = 32  # rows that are timed


def chosen(model: Model, data: Dataset, rows: np.ndarray, budget: Budget) -> int:
    """Largest number of held-out rows to evaluate, for a plan without such a number.

    Only runs limited by minutes measure the time per row. The caller writes the number to experiment.json, for resume
    and replay.

    Args:
        model: The model, whose speed is measured on a few rows.
        data: The dataset.
        rows: Indices of training rows, in an order unrelated to their length.
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
    """The experiment with a number of held-out rows to evaluate in its plan."""
    return replace(experiment, plan=replace(experiment.plan, evaluation_rows=rows))


def words(taught: tuple[int, int], looked: tuple[int, int], *, short: bool) -> str:
    """A line for the terminal on the rows evaluated; "" if these are all.

    Args:
        taught: Training rows used by kNN and probe, and all training rows.
        looked: Held-out rows evaluated, and all held-out rows.
        short: Whether the run's minutes limited the number.
    """
    if taught[0] == taught[1] and looked[0] == looked[1]:
        return ""
    why = f"; more would take over {SHARE:.0%} of the minutes" if short else ""
    return (
        f"on {number(looked[0])} of {number(looked[1])} held-out rows, taught by {number(taught[0])} of "
        f"{number(taught[1])} training rows{why}. Others: --set plan.evaluation_rows=N"
    )
