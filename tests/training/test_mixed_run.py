"""Whole runs of several tasks: rows that are mixed, rows that are labelled, augmentations by role, and a resume."""

import json

import numpy as np
import pytest

import kontrast as kt
from kontrast.core.errors import UserError
from tests.support.settings import FAST

pytestmark = pytest.mark.slow


def stripes(n=96):
    """Stripes of three directions in noise, half of them with their direction."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 3
    x, y = np.meshgrid(np.arange(16), np.arange(16))
    made = np.stack([np.sin(x), np.sin(y), np.sin(x + y)])[kind] + 0.8 * rng.standard_normal((n, 16, 16))
    label = np.where(rng.random(n) < 0.5, kind.astype(str), "")
    return {"image": (60 * made + 128).clip(0, 255).astype("uint8"), "label": label}


TASKS = {
    "contrast": {"name": "simclr", "hidden": 16, "width": 8, "augmentations": {"global": "blur"}},
    "classes": {"name": "classification", "mixing": "cutmix", "weight": 0.5},
    "few": {"name": "classification", "rows": "labelled", "rows_per_step": 8},
}


def train(tmp_path, name, **more):
    settings = {**FAST, "encoders.image.base": 4, "plan.batch": 24, **more.pop("settings", {})}
    return kt.train(stripes(), tasks=TASKS, label="label", settings=settings, out=tmp_path / name, **more)


def test_tasks_with_rows_of_their_own_are_trained_together_and_written_out_whole(tmp_path):
    run = train(tmp_path, "run", steps=4)
    told = json.loads((run.path / "experiment.json").read_text())["tasks"]
    assert told["classes"]["mixing"]["name"] == "cutmix"
    assert told["contrast"]["augmentations"]["global"]["name"] == "blur"
    assert (told["few"]["rows"], told["few"]["rows_per_step"]) == ("labelled", 8)
    moments = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [m["step"] for m in moments] == [1, 2, 3, 4]
    assert {name.partition(".")[0] for name in moments[-1]["terms"]} == set(TASKS)
    assert np.isfinite([m["loss"] for m in moments]).all()
    again = train(tmp_path, "again", steps=4)
    repeated = [json.loads(line)["loss"] for line in (again.path / "metrics.jsonl").read_text().splitlines()]
    assert repeated == [m["loss"] for m in moments]


def test_a_mixing_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no mixing 'cutmx'; did you mean 'cutmix'"):
        kt.train(
            stripes(),
            tasks={"contrast": {"name": "simclr", "mixing": "cutmx"}},
            settings=FAST,
            steps=1,
            out=tmp_path / "run",
        )
