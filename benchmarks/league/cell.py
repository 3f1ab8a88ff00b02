"""One contestant on one set with one seed, in a process of its own: fit, embed, probe, one JSON file."""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.league import found
from benchmarks.league.contestant import Budget, Contestant
from benchmarks.league.probe import labelled, matched
from benchmarks.league.task import Task, take


def play(task: Task, contestant: Contestant, seconds: float, seed: int) -> dict[str, object]:
    """Fit within the seconds, embed the probed rows, probe."""
    budget = Budget(seconds)
    embed = contestant.fit(task, budget, seed)
    fitted = contestant.facts.pop("fit seconds", budget.used)
    whole = budget.used
    train, test = task.probed()
    began = time.process_time()
    z = {field: embed(field, take(task.test[field], test)) for field in task.kinds}
    if task.pairs:
        measures = matched(*z.values())
    else:
        assert task.train_labels is not None
        assert task.test_labels is not None
        (field,) = task.kinds
        known = embed(field, take(task.train[field], train))
        measures = labelled(known, task.train_labels[train], z[field], task.test_labels[test])
    return {
        "set": task.name,
        "kind": task.kind,
        "note": task.note,
        "rows": task.rows(),
        "fit_seconds": round(fitted, 2),
        "whole_seconds": round(whole, 2),
        "probe_seconds": round(time.process_time() - began, 2),
        "width": int(next(iter(z.values())).shape[1]),
        "facts": contestant.facts,
        "measures": {name: np.round(rows, 4).tolist() for name, rows in measures.items()},
    }


def main() -> None:
    """Run the cell that the command line names."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path)
    asked.add_argument("set")
    asked.add_argument("contestant")
    asked.add_argument("seed", type=int)
    asked.add_argument("seconds", type=float)
    asked.add_argument("out", type=Path)
    told = asked.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(told.seed)
    task = found.load(told.data, told.set)
    with tempfile.TemporaryDirectory() as scratch:
        contestant = found.contestant(told.contestant)(Path(scratch))
        result = play(task, contestant, told.seconds, told.seed)
    result |= {"contestant": told.contestant, "seed": told.seed, "seconds": told.seconds}
    half = told.out.with_suffix(".part")
    half.write_text(json.dumps(result), encoding="utf8")
    os.replace(half, told.out)


if __name__ == "__main__":
    main()
