"""Collects the data of the report from the files of a run."""

import json
import shlex

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.reporting.page import doctor
from kontrast.reporting.report import Story
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder
from kontrast.runs.folder.monitor_file import read_looks


def report_data(folder: Folder) -> Story:
    """Data of the report of a finished run.

    Raises:
        UserError: A file of the run is missing or damaged.
    """
    scores = run_json.scores(folder)
    samples = run_json.samples(folder)
    environment = run_json.environment(folder)
    return Story(
        title=folder.path.name,
        command=environment["command"],
        experiment=json.loads(folder.experiment().to_json()),
        environment=environment,
        data=run_json.data(folder),
        moments=folder.moments(),
        looks=read_looks(folder.path),
        verdict=scores["verdict"],
        scores=[row for row in scores["scores"] if row["trained"]],
        not_evaluated=[(row["name"], row.get("reason") or "") for row in scores["scores"] if not row["trained"]],
        bank=EmbeddingTable.load(folder.embeddings / "trained-test.parquet"),
        thumbnails=samples["thumbnails"],
        views=samples["views"],
        captions=samples["captions"],
        doctor=doctor.load(folder.path),
        alone=run_json.alone(folder),
        path=shlex.quote(str(folder.path)),
    )
