"""Flat names and values for trackers: of a step, of the experiment, of the scores."""

from pathlib import Path
from typing import Any

from kontrast.core.experiment import leaves
from kontrast.evaluation.look import Look
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder
from kontrast.training.loop import StepRecord

LEFT_OUT = ("step", "total", "terms", "health", "skipped", "norms", "cosines", "factors")


def of_moment(moment: StepRecord) -> dict[str, float]:
    """Numbers of a step: `train/loss`, `terms/contrast`, `health/spread` if checked at this step, and so on.

    With several tasks: `gradient/simclr` and `cosine/simclr to rotation`, if measured at this step, and
    `factor/simclr`, if the aggregator chooses it.
    """
    values = {name: value for name, value in vars(moment).items() if name not in LEFT_OUT and value is not None}
    numbers = {f"train/{name}": float(value) for name, value in values.items()}
    numbers |= {f"terms/{name}": float(value) for name, value in moment.terms.items()}
    numbers |= {f"gradient/{task}": norm for task, norm in moment.norms.items()}
    numbers |= {f"cosine/{pair.replace('/', ' to ')}": value for pair, value in moment.cosines.items()}
    numbers |= {f"factor/{task}": factor for task, factor in moment.factors.items()}
    health = {} if moment.health is None else vars(moment.health)
    return numbers | {f"health/{name}": float(value) for name, value in health.items()}


def of_look(look: Look) -> dict[str, float]:
    """Numbers of an evaluation of validation rows: `validation/knn`, `validation/rankme` ..."""
    return {f"validation/{name}": float(value) for name, value in look.values.items()}


def of_experiment(folder: Path) -> dict[str, Any]:
    """Settings of the run by dotted name, such as `plan.batch`: the leaves of experiment.json."""
    return dict(leaves(Folder(folder).read_json("experiment.json")))


def of_scores(folder: Path) -> dict[str, float]:
    """Scores of a run, empty if it is not finished.

    Returns:
        Names such as `scores/kNN accuracy`, and `/low`, `/high`, `/untrained` and `/raw` after it if known -> value.
    """
    if not (folder / "scores.json").is_file():
        return {}
    found: dict[str, float | None] = {}
    for row in run_json.scores(Folder(folder))["scores"]:
        name = f"scores/{row['name'].replace('>', ' to ')}"
        for key, value in (row["trained"] or {}).items():
            found[name if key == "value" else f"{name}/{key}"] = value
        found |= {f"{name}/{which}": row[which]["value"] for which in ("untrained", "raw") if row[which]}
    return {name: value for name, value in found.items() if value is not None}
