"""Reduces a run's threads while other programs take the processors, and says so."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kontrast.core.experiment import Plan
from kontrast.reporting.logger import Logger
from kontrast.runs.folder.folder import Checkpoint, Folder
from kontrast.training.launcher import Launcher
from kontrast.training.threads import Threads


@contextmanager
def watching(
    folder: Folder, plan: Plan, fleet: Launcher, logger: Logger, saved: Checkpoint | None
) -> Iterator[Threads | None]:
    """Context that adapts the number of threads after each step.

    The number is recorded in the metrics of each step, for a replay, and in checkpoints, for a resume. It stays fixed
    with `plan.deterministic` "on", on several processes, and on devices other than the CPU.

    Args:
        folder: The run folder.
        plan: The plan of the run.
        fleet: The processes of the run.
        logger: Receives a note if the number is reduced.
        saved: The checkpoint that the run resumes from, or None.

    Yields:
        What sets the threads, or None if the number stays fixed.
    """
    if fleet.ranks.world > 1 or fleet.device.type != "cpu" or plan.deterministic == "on":
        yield None
        return
    before = torch.get_num_threads()
    threads = Threads(folder.threads(), notify=lambda words: note_starvation(words, logger))
    if saved:
        threads.set(saved[1].get("threads", before))
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def note_starvation(words: str, logger: Logger) -> None:
    """Logs the words; in scripts, also warns of the environment variable that helps."""
    logger.fact("note", words)
    if sys.platform == "linux" and not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        warnings.warn(
            "other programs use the processors, and PyTorch's threads spin while they wait: start Python with "
            "GOMP_SPINCOUNT=1000 in the environment, as the command line does.",
            stacklevel=2,
        )
