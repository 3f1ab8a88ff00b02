"""MLflow: settings, curves and scores of a run, on a server or in a file."""

import os
import re
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from kontrast.core.atomic_files import atomic_write
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.evaluation.look import Look
from kontrast.reporting.logger import Logger
from kontrast.runs.tracker_values import of_experiment, of_look, of_moment, of_scores
from kontrast.training.loop import StepRecord

LONGEST, AT_ONCE = 500, 100  # characters per parameter and parameters per call that each MLflow store accepts


class Mlflow(Logger):
    """Records settings, curves and scores of a run in MLflow.

    A resumed run continues the same MLflow run, whose id is kept in RUN/mlflow.txt.

    MLflow is in no extra of kontrast, as the full package limits the versions of pyarrow, pandas and others. Its client
    does not: `pip install mlflow-skinny` reaches any server (set MLFLOW_TRACKING_URI), and with `sqlalchemy alembic` it
    keeps runs in a file, which `mlflow ui --backend-store-uri sqlite:///RUN/mlflow.db` shows from any environment. The
    full package works too if its versions agree with yours.

    Args:
        uri: The store of MLflow. Default: MLFLOW_TRACKING_URI, else sqlite in RUN/mlflow.db.
        experiment: Name of the experiment in MLflow.
        every: Steps between points of a curve.

    Raises:
        UserError: A package that the store needs is missing.
    """

    def __init__(
        self, *, uri: str | None = None, experiment: str = "kontrast", every: Annotated[int, Range(1)] = 10
    ) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import; it would send usage data
        self.uri, self.experiment, self.every = uri or os.environ.get("MLFLOW_TRACKING_URI"), experiment, max(every, 1)
        in_file = self.uri is None or self.uri.startswith("sqlite:")
        try:  # imported now, as the store would import them only after the first step
            self.mlflow, *_ = (import_module(name) for name in ("mlflow", *(("sqlalchemy", "alembic") * in_file)))
        except ImportError as missing:
            raise UserError(
                f"MLflow needs the package '{missing.name}', which no extra of kontrast brings: pip install "
                f"mlflow-skinny{' sqlalchemy alembic' * in_file} (the full mlflow package requires an older pyarrow)."
            ) from missing
        self.folder: Path | None = None
        self.client: Any = None
        self.run = ""
        self.step = 0

    def begun(self, folder: Path) -> None:
        """Notes the run folder; a run refused before its first step writes nothing."""
        self.folder = folder

    def moment(self, moment: StepRecord) -> None:
        """Records every `every`-th step, the first, the last, and those with a health check."""
        self.step = moment.step
        if self.client is None:
            self._open()
        if moment.health or moment.step % self.every == 0 or moment.step in (1, moment.total):
            self._tell(of_moment(moment))

    def look(self, look: Look) -> None:
        """Records the numbers of the validation rows."""
        self.step = look.step
        if self.client is None:
            self._open()
        self._tell(of_look(look))

    def ended(self, folder: Path) -> None:
        """Records scores at the last step; a run without scores gets status KILLED."""
        if self.client is None:
            return
        scores = of_scores(folder)
        self._tell(scores)
        self.client.set_terminated(self.run, "FINISHED" if scores else "KILLED")
        self.client = None

    def _open(self) -> None:
        assert self.folder is not None
        self.client = self.mlflow.MlflowClient(self.uri or f"sqlite:///{self.folder.resolve() / 'mlflow.db'}")
        mark = self.folder / "mlflow.txt"
        if mark.is_file():
            self.run = mark.read_text(encoding="utf8").strip()
            self.client.update_run(self.run, "RUNNING")
            return
        known = self.client.get_experiment_by_name(self.experiment)
        place = known.experiment_id if known else self.client.create_experiment(self.experiment)
        self.run = self.client.create_run(place, run_name=self.folder.resolve().name).info.run_id
        with atomic_write(mark) as aside:
            aside.write_text(self.run, encoding="utf8")
        settings = of_experiment(self.folder).items()
        entries = [self.mlflow.entities.Param(_key(name), str(value)[:LONGEST]) for name, value in settings]
        for start in range(0, len(entries), AT_ONCE):
            self.client.log_batch(self.run, params=entries[start : start + AT_ONCE])

    def _tell(self, numbers: Mapping[str, float]) -> None:
        metric, now = self.mlflow.entities.Metric, int(time.time() * 1000)
        entries = [metric(_key(name), value, now, self.step) for name, value in numbers.items()]
        for start in range(0, len(entries), AT_ONCE):
            self.client.log_batch(self.run, metrics=entries[start : start + AT_ONCE])


def _key(name: str) -> str:
    """A name with only the characters that MLflow accepts."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", " at "))
