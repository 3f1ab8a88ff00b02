"""A run that notices when other programs take the processors, says so, and computes with fewer threads."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kontrast.core.experiment import Plan
from kontrast.reporting.logger import Logger
from kontrast.runs.folder import Checkpoint, Folder
from kontrast.training.launcher import Launcher
from kontrast.training.threads import Threads


@contextmanager
def watching(
    folder: Folder, plan: Plan, fleet: Launcher, logger: Logger, saved: Checkpoint | None
) -> Iterator[Threads | None]:
    """What sets the number of threads after each step; as many as before when it ends.

    Which steps were computed by how many is in metrics of each step, from which a replay repeats it, and in the
    checkpoint, from which a resumed run goes on. With `plan.deterministic` "on", on several processes, and on devices
    the number stays what it is.
    """
    if fleet.ranks.world > 1 or fleet.device.type != "cpu" or plan.deterministic == "on":
        yield None
        return
    before = torch.get_num_threads()
    threads = Threads(folder.threads(), told=lambda words: _tell(words, logger))
    if saved:
        threads.set(saved[1].get("threads", before))
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def _tell(words: str, logger: Logger) -> None:
    """To the logger, and in a script, which began before anything could be set, what helps: a warning, shown once."""
    logger.fact("note", words)
    if sys.platform == "linux" and not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        warnings.warn(
            "other programs take the processors, and PyTorch's threads wait for one another busily: start Python with "
            "GOMP_SPINCOUNT=1000 in the environment, as the command line does.",
            stacklevel=2,
        )
