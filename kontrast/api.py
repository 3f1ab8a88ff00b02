"""The verbs of kontrast in Python: train, resume, load."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kontrast.core import registry
from kontrast.core.argument_names import spelled
from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment, choice
from kontrast.data.schema.fields import Field, infer
from kontrast.data.schema.missing_values import emptied
from kontrast.data.sources.open_source import open_frame, opens
from kontrast.data.tables.frame import Frame
from kontrast.data.tables.uri import called
from kontrast.recipes.choosing import override, settle
from kontrast.recipes.config import Config, configured
from kontrast.reporting.logger import Logger, NullLogger, hearing
from kontrast.runs import kept
from kontrast.runs.environment import environment
from kontrast.runs.folder import Folder
from kontrast.runs.pipeline import travel
from kontrast.runs.replay import Replay, begin, same
from kontrast.runs.run import Run
from kontrast.runs.train import stoppable
from kontrast.training.determinism import repeatable
from kontrast.training.launcher import Launcher, Strategy, launch, usual_device

# What other libraries call an argument of `train` -> what it is here.
_OTHERS = {
    **dict.fromkeys(("batch_size", "bs", "per_device_train_batch_size"), "batch"),
    **dict.fromkeys(("lr", "learning_rates"), "learning_rate"),
    **dict.fromkeys(("num_epochs", "num_train_epochs", "max_epochs", "n_epochs"), "epochs"),
    **dict.fromkeys(("max_steps", "num_steps"), "steps"),
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    **dict.fromkeys(("output_dir", "save_dir", "path"), "out"),
    **dict.fromkeys(("labels", "target"), "label"),
    **dict.fromkeys(("temperature", "tau"), "method.temperature"),
    **{name: f"plan.{name}" for name in ("optimiser", "weight_decay", "warmup", "clip", "precision", "passes")},
    "optimizer": "plan.optimiser",
    "test_size": "source.held_out",
}


@spelled(_OTHERS)
def train(
    data: object = None,
    *,
    recipe: str | None = None,
    config: Config | None = None,
    label: str | None = None,
    fields: Mapping[str, str] | None = None,
    encoders: Mapping[str, str | Mapping[str, Any]] | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    devices: int | None = None,
    nodes: int = 1,
    strategy: Strategy = "ddp",
    trust_code: bool = False,
    command: str | None = None,
    logger: Logger | None = None,
) -> Run:
    """Train on any data and leave a run folder: embeddings, scores, report.

    data: a path (folder of pictures, CSV, TSV, JSONL, Parquet, .npz, .npy, .ts), a pandas or Arrow table, numpy or
    torch arrays, a dict of columns, a `datasets.Dataset`; None: what the recipe or the config brings. config: a file
    (YAML, JSON, TOML) or nested dicts with the keys of experiment.json, whole or in part, such as that of an earlier
    run; what is named beside it counts more; a file that names code of its own needs trust_code. fields: column ->
    kind, where inference is wrong. encoders: tower -> name or {"name": ..., settings}. settings: dotted names of the
    experiment, such as {"method.temperature": 0.1}. batch, learning_rate: short for plan.batch (rows per step over all
    devices) and plan.learning_rate. devices, nodes, strategy: on how many devices of how many machines, and whether
    each holds all of the encoders ("ddp") or a part ("fsdp"); this script then runs once a device, and only the first
    comes back from here. Raises UserError for invalid data or settings.
    """
    short = {"plan.batch": batch, "plan.learning_rate": learning_rate}
    settings = {**{name: value for name, value in short.items() if value is not None}, **(settings or {})}
    began = time.perf_counter()
    asked: Experiment = registry.load("recipes", recipe)() if recipe else Experiment(method=Choice(""))
    asked = asked if config is None else configured(asked, config, trust_code=trust_code)
    name = (called(data) if isinstance(data, str | Path) else "memory") if data is not None else recipe or ""
    data = asked.source.data if data is None else data
    if isinstance(data, str) and data == "memory":
        raise UserError("nothing to train on: name a path, or hand over a table or arrays.")
    where = str(data) if isinstance(data, str | Path) else "memory"
    asked = replace(asked, source=replace(asked.source, data=where), encoders={**asked.encoders, **_named(encoders)})
    asked = asked if seed is None else replace(asked, seed=seed)
    if not steps is epochs is minutes is None:
        asked = replace(asked, plan=replace(asked.plan, steps=steps, epochs=epochs, minutes=minutes))
    shown = "<the same data>" if where == "memory" else repr(where)
    told = command or f"kontrast.train({shown}, seed={asked.seed}, ...)"
    with launch(_device(device), devices, nodes, strategy) as fleet:
        logger = logger if logger and fleet.first else NullLogger()
        folder = _fresh(fleet, None if out is None else Path(out), name)
        try:
            with ExitStack() as holding:
                with fleet.in_turn():
                    holding.enter_context(folder.held("kontrast train"))
                    frame, found, experiment, words = settle(
                        data, asked, recipe=recipe, label=label, fields=fields, settings=settings, cache=folder.cache
                    )
                    folder.write_json("environment.json", environment(told, str(fleet.device), fleet.words))
                    folder.write("experiment.json", experiment.to_json())  # last: with it the run can be resumed
                with (
                    stoppable(folder),
                    hearing(logger, folder.path),
                    repeatable(experiment.plan, fleet.device),
                    fleet.together(folder.go_on),
                ):
                    return travel(frame, found, folder, words, logger, fleet, resume=False, began=began)
        except (UserError, OSError, KeyboardInterrupt):
            folder.discard_unless_begun()
            raise


@spelled(_OTHERS)
def resume(
    path: str | Path,
    *,
    data: object = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    devices: int | None = None,
    nodes: int = 1,
    strategy: Strategy = "ddp",
    trust_code: bool = False,
    logger: Logger | None = None,
) -> Run:
    """Continue an interrupted run, bit for bit on one CPU; on another number of devices up to rounding.

    A changed recipe or changed rows are refused, with the difference. trust_code: whether code that experiment.json
    names may be loaded.
    """
    began = time.perf_counter()
    folder = Folder.existing(Path(path), trust_code)
    experiment = folder.experiment()
    changed = experiment.difference(override(experiment, settings or {}))
    if changed:
        raise UserError(
            f"{path} was begun with another recipe: {'; '.join(changed)}. Resume without these settings, or "
            "start a new run."
        )
    if (folder.path / "scores.json").is_file():
        return _finished(folder, logger or NullLogger())
    source = _source(path, experiment, data, "resume")
    with launch(_device(device), devices, nodes, strategy) as fleet:
        logger = logger if logger and fleet.first else NullLogger()
        folder = replace(folder, writes=fleet.first)
        with ExitStack() as holding:
            with fleet.in_turn():
                holding.enter_context(folder.held("kontrast train --resume"))
                frame = emptied(open_frame(source, cache=folder.cache), experiment.source.missing)
                words, found = _begun(folder, frame, experiment)
            with (
                stoppable(folder),
                hearing(logger, folder.path),
                repeatable(experiment.plan, fleet.device),
                fleet.together(folder.go_on),
            ):
                return travel(frame, found, folder, words, logger, fleet, resume=True, began=began)


def replay(
    path: str | Path,
    *,
    data: object = None,
    out: str | Path | None = None,
    device: str = "auto",
    trust_code: bool = False,
    logger: Logger | None = None,
) -> tuple[Run, Replay]:
    """Run a finished run once more from its folder (same rows, experiment, seed) into a new one, and compare the two.

    data: where the rows are now, if not where they were. Equal to the last bit on the same machine, versions and number
    of threads; else the first difference is reported. Refuses other rows.
    """
    old = Run.load(path, trust_code=trust_code)
    source = _source(path, old.experiment, data, "replay")  # refused before there is a new folder
    begun = begin(old, None if out is None else Path(out))
    try:
        new = resume(begun.path, data=source, device=device, trust_code=trust_code, logger=logger)
    except UserError:
        begun.discard_unless_begun()
        raise
    return new, same(old, new)


def load(path: str | Path, *, trust_code: bool = False) -> Run:
    """The run in that folder. trust_code: whether code that its experiment.json names may be loaded."""
    return Run.load(path, trust_code=trust_code)


def _named(encoders: Mapping[str, str | Mapping[str, Any]] | None) -> dict[str, Choice]:
    return {
        tower: choice(given if isinstance(given, str) else dict(given), f"encoder {tower}")
        for tower, given in (encoders or {}).items()
    }


def _source(path: str | Path, experiment: Experiment, data: object, verb: str) -> object:
    """What to read again: what was handed over, else where the run's rows came from."""
    if data is not None:
        return data
    source = experiment.source.data
    if source == "memory":
        raise UserError(
            f"{path} was trained on data from memory; hand it over again: kontrast.{verb}({str(path)!r}, data=...)."
        )
    if not opens(source):
        again = f"train DATA --resume {path}" if verb == "resume" else f"replay {path} --data DATA"
        raise UserError(
            f"{source}, which {path} was trained on, is not there any more, or not what it was (looked from "
            f"{Path.cwd()}). Bring it back, or say where it is now: kontrast {again}"
        )
    return source


def _finished(folder: Folder, logger: Logger) -> Run:
    """A run that was judged; what is left to do where it was killed right after that."""
    run = Run(folder.path, folder.trusts)
    if not (folder.path / "report.html").is_file() or folder.cache.is_dir():
        with folder.held("kontrast train --resume"):
            run.report()
            folder.drop_cache()
    logger.fact("resume", f"{folder.path} is finished already; nothing to do")
    return run


def _begun(folder: Folder, frame: Frame, experiment: Experiment) -> tuple[dict[str, str], dict[str, Field]]:
    """What the run said of its recipe and columns when it began; inferred anew if it was stopped before."""
    if (folder.path / "data.json").is_file():
        known = kept.data(folder)
        return known["recipe"], {name: Field(**field) for name, field in known["fields"].items()}
    return {"name": experiment.method.name, "why": "as begun"}, infer(frame, experiment.source.fields, None)


def _fresh(fleet: Launcher, out: Path | None, name: str) -> Folder:
    """The first process's new folder, in which the others only read."""
    made = ""
    with fleet.in_turn():
        if fleet.first:
            made = str(Folder.fresh(out, name).path)
    return Folder(Path(fleet.told(made)), writes=fleet.first, trusts=True)


def _device(name: str) -> torch.device:
    try:
        device = usual_device() if name == "auto" else torch.device(name)
    except RuntimeError as error:
        raise UserError(f"no device is called '{name}'; expected auto, cpu, cuda, cuda:1 or mps.") from error
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"no device '{name}' here ({str(error).splitlines()[0]}); use --device cpu.") from error
    return device
