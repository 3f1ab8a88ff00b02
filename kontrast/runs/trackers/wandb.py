"""Weights & Biases, offline: a run is uploaded only when its owner syncs it."""

import os
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

from kontrast.core.atomic_files import atomic_write
from kontrast.core.errors import needs
from kontrast.core.factory import Range
from kontrast.evaluation.look import Look
from kontrast.reporting.logger import Logger
from kontrast.runs.tracker_values import of_experiment, of_look, of_moment, of_scores
from kontrast.training.loop import StepRecord


class Wandb(Logger):
    """Writes RUN/wandb without network, key or login; `wandb sync RUN/wandb/offline-run-*` uploads it.

    No console output, code, git state or machine statistics are recorded. A resumed run keeps its id, so that both
    parts become one run when synced.

    Args:
        project: Name of the project in Weights & Biases.
        every: Steps between points of a curve.

    Raises:
        UserError: wandb is not installed.
    """

    def __init__(self, *, project: str = "kontrast", every: Annotated[int, Range(1)] = 10) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read at import; its reports would go over the network
        self.wandb: Any = needs("wandb", "track")
        self.project, self.every = project, max(every, 1)
        self.folder: Path | None = None
        self.run: Any = None
        self.step = 0

    def begun(self, folder: Path) -> None:
        """Notes the run folder; a run refused before its first step writes nothing."""
        self.folder = folder

    def moment(self, moment: StepRecord) -> None:
        """Records every `every`-th step, the first, the last, and those with a health check."""
        self.step = moment.step
        if self.run is None:
            self.run = self._opened()
        if moment.health or moment.step % self.every == 0 or moment.step in (1, moment.total):
            self.run.log(of_moment(moment), step=moment.step)

    def look(self, look: Look) -> None:
        """Records the numbers of the validation rows."""
        self.run = self.run or self._opened()
        self.run.log(of_look(look), step=look.step)

    def ended(self, folder: Path) -> None:
        """Records the scores as the run's summary; an interrupted run has none."""
        if self.run is None:
            return
        scores = of_scores(folder)
        self.run.summary.update(scores)
        self.run.finish(exit_code=0 if scores else 1)
        self.run = None

    def _opened(self) -> Any:
        assert self.folder is not None
        place = self.folder / "wandb"
        mark = place / "id.txt"
        known = mark.read_text(encoding="utf8").strip() if mark.is_file() else secrets.token_hex(4)
        with atomic_write(mark) as aside:
            aside.write_text(known, encoding="utf8")
        # wandb names a run's folder by the second; in a folder that is there already it writes nothing
        while any(place.glob(time.strftime("offline-run-%Y%m%d_%H%M%S-*"))):
            time.sleep(0.05)
        quiet = self.wandb.Settings(
            console="off",
            silent=True,
            disable_code=True,
            disable_git=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        return self.wandb.init(
            project=self.project,
            name=self.folder.resolve().name,
            id=known,
            dir=str(self.folder),
            mode="offline",
            config=of_experiment(self.folder),
            settings=quiet,
        )
