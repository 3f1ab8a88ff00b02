"""The MLflow logger against the real client, installed into a folder of its own: its requirements touch nothing here.

The folder stands before all others on the path of the processes that are started here, as it would in an environment
where MLflow was installed last.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.support.places import ROOT

pytestmark = pytest.mark.slow

CLIENT = ["mlflow-skinny", "sqlalchemy", "alembic"]  # the client with its SQL store; the rest of MLflow is its server
UNREACHED = ("(from versions: none)", "Connection", "Could not fetch URL", "Temporary failure", "No module named pip")

WRITE = """
import sys
from pathlib import Path
from kontrast.core import factory
from kontrast.runs.folder.folder import Folder
from tests.support.tracked import logged
folder = Folder(Path(sys.argv[1]))
logged(factory.build("trackers", "mlflow", {"every": 5}), folder, range(1, 9), finish=False)
logged(factory.build("trackers", "mlflow", {"every": 5}), folder, range(6, 13))
"""

READ = """
import json, os, sys
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow
client = mlflow.MlflowClient(sys.argv[1])
(place,) = [one for one in client.search_experiments() if one.name == "kontrast"]
runs = client.search_runs([place.experiment_id])
curves = {key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]
          for run in runs for key in run.data.metrics}
print(json.dumps([[r.info.run_id, r.info.run_name, r.info.status, r.data.params] for r in runs]))
print(json.dumps(curves))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables of a process that finds MLflow in a new folder, and there alone."""
    place = tmp_path_factory.mktemp("mlflow")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "15", "--no-compile"]
    made = subprocess.run([*pip, "--target", place, *CLIENT], capture_output=True, text=True, timeout=600, check=False)
    if made.returncode and any(words in made.stderr for words in UNREACHED):
        pytest.skip(f"pip reaches no registry that has {CLIENT[0]}: {made.stderr.strip().splitlines()[-1]}")
    assert made.returncode == 0, made.stderr
    path = os.pathsep.join(map(str, (place, ROOT)))
    told = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**told, "PYTHONPATH": path, "HTTPS_PROXY": "http://127.0.0.1:9"}  # nobody is there: who calls out fails


def said(environment, program, *words):
    made = subprocess.run(
        [sys.executable, "-c", program, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_mlflow_keeps_settings_curves_and_scores_of_an_interrupted_and_resumed_run(environment, folder):
    said(environment, WRITE, str(folder.path))
    runs, curves = map(json.loads, said(environment, READ, f"sqlite:///{folder.path / 'mlflow.db'}").splitlines())
    ((run, name, status, settings),) = runs
    assert (name, status) == ("waves-1", "FINISHED")
    assert run == (folder.path / "mlflow.txt").read_text()
    assert (settings["plan.batch"], settings["seed"]) == ("256", "7")
    # steps 1, 4 (a health) and 5 before the interruption; after it every fifth and the last
    assert curves["train/loss"] == [[step, 5 / step] for step in (1, 4, 5, 10, 12)]
    assert curves["health/spread"] == [[4, 0.9]]
    assert curves["scores/photo to text R at 1"] == [[12, 0.75]]
