"""Rows per step, from the training rows and the length of the run."""

from kontrast.core.experiment import Plan

# Rows per step unless the user sets them: upper limit, lower limit, and lower limit of short runs.
WIDEST, NARROWEST, SHORTEST = 256, 32, 16
# Steps per epoch to aim for; the lower limit on rows wins, since contrast needs candidates.
STEPS_PER_EPOCH = 16
# Short runs take fewer rows per step until they have this many steps.
ENOUGH = 300


def named(plan: Plan, rows: int) -> int:
    """Rows per step by the plan alone, without timing, for reproducible runs.

    Args:
        plan: Its batch, if set, is returned. A number of epochs tells how often rows are seen; a run in minutes counts
            as
            long.
        rows: Training rows.
    """
    if plan.batch is not None:
        return plan.batch
    return usual(rows) if plan.epochs is None else fitting(plan.epochs * rows, rows)


def usual(rows: int) -> int:
    """Rows per step of a long run.

    A power of two, with at least `STEPS_PER_EPOCH` steps per epoch unless `NARROWEST` forbids it.
    """
    return _power_of_two(rows // STEPS_PER_EPOCH, NARROWEST)


def fitting(looks: float, rows: int) -> int:
    """Rows per step such that `ENOUGH` steps fit into a run.

    Args:
        looks: Rows that the run can process, counting repetitions.
        rows: Training rows.
    """
    return min(usual(rows), _power_of_two(int(min(looks, ENOUGH * WIDEST) / ENOUGH), SHORTEST))


def paced(plan: Plan, batch: int, rows: int, seconds: float, training: float) -> tuple[int, float]:
    """Rows and seconds per step of a run in minutes; unchanged without minutes.

    Args:
        plan: Its minutes, and its batch if set.
        batch: Rows per step that were timed.
        rows: Training rows.
        seconds: Seconds per timed step.
        training: Seconds of training.
    """
    if plan.minutes is None or plan.batch is not None:
        return batch, seconds
    chosen = min(fitting(training / max(seconds, 1e-9) * batch, rows), rows)
    return chosen, seconds * chosen / batch


def _power_of_two(most: int, least: int) -> int:
    """Largest power of two up to `most`, within `least` and `WIDEST`."""
    return min(WIDEST, max(least, 1 << max(0, most.bit_length() - 1)))
