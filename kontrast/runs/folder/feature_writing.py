"""Writing of features that never change into the cache of a run, by all of its processes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from kontrast.data.dataset.feature_store import FeatureFiles
from kontrast.encoders.features import Features
from kontrast.reporting.logger import Logger
from kontrast.runs.folder.folder import Folder
from kontrast.training.launcher import Launcher

CHUNK = 256  # rows encoded at once
SHARE = 0.5  # of the free disk that they may take


def written(
    here: Path,
    order: np.ndarray,
    encode: Callable[[np.ndarray], Features],
    folder: Folder,
    fleet: Launcher,
    logger: Logger,
    doing: str,
) -> list[FeatureFiles] | None:
    """Files with the features of rows, one per process; an interrupted writer goes on where it was.

    Args:
        here: Folder of the files.
        order: (M,) indices of the rows; row number k is in the file of process k % W.
        encode: Encodes rows.
        folder: The run folder.
        fleet: The processes of the run; all of them call this.
        logger: Receives progress.
        doing: What is done, for the progress.

    Returns:
        The files; None if they exceed half of the free disk.
    """
    ranks = fleet.ranks
    mine, files = order[ranks.rank :: ranks.world], FeatureFiles(here / f"{ranks.rank}")
    # Every process encodes as often as the others, since a split encoder waits for all of them.
    left = -(-max(0, len(mine) - files.done) // CHUNK)
    for _ in range(int(ranks.max(torch.tensor([left], device=fleet.device)))):
        part = mine[files.done : files.done + CHUNK]
        features = encode(part if len(part) else order[:1])
        if len(part):
            pooled, dense, mask = (None if t is None else t.float().cpu().numpy() for t in features)
            assert pooled is not None
            files.append(pooled, dense, mask)
        needed = files.size / max(files.done, 1) * len(order)
        if any(fleet.any(needed > SHARE * (shutil.disk_usage(folder.path).free + files.size * ranks.world))):
            shutil.rmtree(here, ignore_errors=True)
            return None
        logger.progress(doing, min(files.done * ranks.world, len(order)), len(order))
    fleet.any(False)  # the others have written theirs
    return [files if k == ranks.rank else FeatureFiles(here / f"{k}") for k in range(ranks.world)]
