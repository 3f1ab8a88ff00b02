"""The verbs of kontrast in Python: train, resume, load."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kontrast.core import find
from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment, choice
from kontrast.data.fields import Field, infer
from kontrast.data.open import open_frame
from kontrast.recipes.choosing import choose, override
from kontrast.runs.environment import environment
from kontrast.runs.folder import Folder
from kontrast.runs.journey import travel
from kontrast.runs.listener import Listener, Silence
from kontrast.runs.run import Run
from kontrast.runs.train import stoppable


def train(
    data: object = None,
    *,
    recipe: str | None = None,
    label: str | None = None,
    fields: Mapping[str, str] | None = None,
    encoders: Mapping[str, str | Mapping[str, Any]] | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    command: str | None = None,
    listener: Listener | None = None,
) -> Run:
    """Train on any data and leave a run folder: embeddings, scores, report.

    data: a path (folder of pictures, CSV, TSV, JSONL, Parquet, .npz, .npy, .ts), a pandas or Arrow table, numpy or
    torch arrays, a dict of columns, a `datasets.Dataset`; None: what the recipe brings. fields: column -> kind, where
    inference is wrong. encoders: tower -> name or {"name": ..., settings}. settings: dotted names of the experiment,
    such as {"method.temperature": 0.1}. Raises UserError for all that the caller can mend.
    """
    listener = listener or Silence()
    asked: Experiment = find.load("recipes", recipe)() if recipe else Experiment(method=Choice(""))
    name = (Path(data).stem if isinstance(data, str | Path) else "memory") if data is not None else recipe or ""
    data = asked.source.data if data is None else data
    if isinstance(data, str) and data == "memory":
        raise UserError("nothing to train on: name a path, or hand over a table or arrays.")
    where = str(data) if isinstance(data, str | Path) else "memory"
    named = {
        tower: choice(given if isinstance(given, str) else dict(given), f"encoder {tower}")
        for tower, given in (encoders or {}).items()
    }
    asked = replace(asked, source=replace(asked.source, data=where), encoders={**asked.encoders, **named})
    if seed is not None:
        asked = replace(asked, seed=seed)
    if not steps is epochs is minutes is None:
        asked = replace(asked, plan=replace(asked.plan, steps=steps, epochs=epochs, minutes=minutes))
    used = _device(device)
    folder = Folder.fresh(None if out is None else Path(out), name)
    try:
        frame = open_frame(data, cache=folder.cache)
        found = infer(frame, {**asked.source.fields, **(fields or {})}, label)
        experiment, why = choose(found, asked, recipe)
        experiment = override(experiment, settings or {})
        folder.write("experiment.json", experiment.to_json())
        replay = (
            command
            or f"kontrast.train({'<the same data>' if where == 'memory' else repr(where)}, seed={experiment.seed}, ...)"
        )
        folder.write_json("environment.json", environment(replay, str(used)))
        words = {"name": recipe or experiment.method.name, "why": why}
        with stoppable(folder):
            return travel(frame, found, folder, words, listener, used, resume=False)
    except (UserError, OSError, KeyboardInterrupt):
        folder.discard_unless_begun()
        raise


def resume(
    path: str | Path,
    *,
    data: object = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    listener: Listener | None = None,
) -> Run:
    """Continue an interrupted run, bit for bit on the CPU. A changed recipe or changed rows are refused, with the
    difference."""
    listener = listener or Silence()
    folder = Folder.existing(Path(path))
    experiment = folder.experiment()
    changed = experiment.difference(override(experiment, settings or {}))
    if changed:
        raise UserError(
            f"{path} was begun with another recipe: {'; '.join(changed)}. Resume without these settings, or "
            "start a new run."
        )
    if (folder.path / "scores.json").is_file():
        listener.fact("resume", f"{path} is finished already; nothing to do")
        return Run(folder.path)
    source = experiment.source.data if data is None else data
    if isinstance(source, str) and source == "memory":
        raise UserError(
            f"{path} was trained on data from memory; hand it over again: kontrast.resume({str(path)!r}, data=...)."
        )
    used = _device(device)
    frame = open_frame(source, cache=folder.cache)
    if (folder.path / "data.json").is_file():
        known = folder.read_json("data.json")
        words, found = known["recipe"], {name: Field(**field) for name, field in known["fields"].items()}
    else:  # it was stopped while its rows were read
        words = {"name": experiment.method.name, "why": "as begun"}
        found = infer(frame, experiment.source.fields, None)
    with stoppable(folder):
        return travel(frame, found, folder, words, listener, used, resume=True)


def load(path: str | Path) -> Run:
    """The run in that folder."""
    return Run.load(path)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"no device is called '{name}'; expected auto, cpu, cuda, cuda:1 or mps.") from error
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"no device '{name}' here ({str(error).splitlines()[0]}); use --device cpu.") from error
    return device
