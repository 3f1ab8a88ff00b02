"""Steps before width: how many rows a step takes, from the rows there are and how often the run can look at them."""

from kontrast.core.experiment import Plan

# Rows per step, unless the user names them: at most, at least, and at least where the run is short.
WIDEST, NARROWEST, SHORTEST = 256, 32, 16
# An epoch has at least so many steps, where that leaves enough rows to contrast with.
STEPS_PER_EPOCH = 16
# A run that is short takes narrower steps until there are so many of them.
ENOUGH = 300


def named(plan: Plan, rows: int) -> int:
    """Rows per step by what the plan says; no clock is asked, so that the same command gives the same run.

    Args:
        plan: Its batch where it names one. A number of epochs says how often the rows will be seen, and so does not
            need to be measured; minutes count as long.
        rows: Training rows.
    """
    if plan.batch is not None:
        return plan.batch
    return usual(rows) if plan.epochs is None else fitting(plan.epochs * rows, rows)


def usual(rows: int) -> int:
    """Rows per step of a run that is long enough: a power of two, so that an epoch has `STEPS_PER_EPOCH` steps."""
    return _power_of_two(rows // STEPS_PER_EPOCH, NARROWEST)


def fitting(looks: float, rows: int) -> int:
    """Rows per step so that `ENOUGH` steps fit into a run.

    Args:
        looks: Rows that the run can see in all, each as often as it is seen.
        rows: Training rows.
    """
    return min(usual(rows), _power_of_two(int(min(looks, ENOUGH * WIDEST) / ENOUGH), SHORTEST))


def paced(plan: Plan, batch: int, rows: int, seconds: float, training: float) -> tuple[int, float]:
    """Rows and seconds per step of a run, as its minutes leave room for; as they were where no minutes end it.

    Args:
        plan: Its minutes, and its batch where it names one.
        batch: Rows per step that were timed.
        rows: Training rows.
        seconds: Seconds that such a step took.
        training: Seconds of training.
    """
    if plan.minutes is None or plan.batch is not None:
        return batch, seconds
    chosen = min(fitting(training / max(seconds, 1e-9) * batch, rows), rows)
    return chosen, seconds * chosen / batch


def _power_of_two(most: int, least: int) -> int:
    """The largest up to `most`, from `least` to `WIDEST`."""
    return min(WIDEST, max(least, 1 << max(0, most.bit_length() - 1)))
