"""Entry points in Python: train, resume, replay and load a run."""

import time as clock
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kontrast.core import registry
from kontrast.core.argument_names import spelled
from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment, choice
from kontrast.core.task_choice import one_task
from kontrast.data.schema.fields import Field, infer
from kontrast.data.sources.source_rows import source_rows
from kontrast.data.tables.frame import Frame
from kontrast.data.tables.record import with_records
from kontrast.data.tables.uri import short_name
from kontrast.recipes.choosing import override, resolve, with_tasks
from kontrast.recipes.config import Config, configured
from kontrast.reporting.logger import Logger, Loggers, NullLogger, hearing
from kontrast.runs.comparison import alone as alone_runs
from kontrast.runs.comparison import alone_result
from kontrast.runs.comparison.replay import Replay, begin, same
from kontrast.runs.comparison.swap import Arm
from kontrast.runs.folder import run_json
from kontrast.runs.folder.environment import environment
from kontrast.runs.folder.folder import Folder
from kontrast.runs.folder.message_file import MessageLog
from kontrast.runs.pipeline.interruption import stoppable
from kontrast.runs.pipeline.pipeline import run_pipeline
from kontrast.runs.pipeline.source_again import source_again
from kontrast.runs.run import Run
from kontrast.training.determinism import repeatable
from kontrast.training.device_choice import device_named
from kontrast.training.launcher import Launcher, Strategy, launch

# Argument names of other libraries -> the name here, for suggestions in error messages.
_OTHERS = {
    **dict.fromkeys(("batch_size", "bs", "per_device_train_batch_size"), "batch"),
    **dict.fromkeys(("lr", "learning_rates"), "learning_rate"),
    **dict.fromkeys(("num_epochs", "num_train_epochs", "max_epochs", "n_epochs"), "epochs"),
    **dict.fromkeys(("max_steps", "num_steps"), "steps"),
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    **dict.fromkeys(("output_dir", "save_dir", "path"), "out"),
    **dict.fromkeys(("labels", "target"), "label"),
    **dict.fromkeys(("temperature", "tau"), "tasks.contrast.temperature"),
    **{name: f"plan.{name}" for name in ("optimiser", "weight_decay", "warmup", "clip", "precision", "passes")},
    "optimizer": "plan.optimiser",
    "test_size": "source.held_out",
    **dict.fromkeys(("column_id", "id_column", "group_ids"), "series"),
    **dict.fromkeys(("column_sort", "timestamp_column", "time_idx"), "time"),
}


@spelled(_OTHERS)
def train(
    data: object = None,
    *,
    recipe: str | None = None,
    config: Config | None = None,
    tasks: Mapping[str, Any] | None = None,
    label: str | None = None,
    fields: Mapping[str, str] | None = None,
    series: str | None = None,
    time: str | None = None,
    encoders: Mapping[str, str | Mapping[str, Any] | Choice] | None = None,
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
    """Trains encoders on any data; writes a run folder with embeddings, scores and report.

    On several devices this script runs once per device, and the call returns in the first process only.

    Args:
        data: A path (folder of pictures, CSV, TSV, JSONL, Parquet, .npz, .npy, .ts), a pandas or Arrow table, numpy or
            torch arrays, a dict of columns, or a `datasets.Dataset`. Default: the data of the recipe or the config.
        recipe: Name of a recipe. Default: chosen from the columns, unless `config` or `tasks` name tasks.
        config: A file (YAML, JSON, TOML) or nested dicts with keys of experiment.json, whole or in part. The other
            arguments take precedence over it.
        tasks: Name -> task: its name, or {"name": ..., its settings, `fields`, `rows`, `weight` ...}. They join the
            tasks of a recipe. Default: the recipe's.
        label: The column of class labels. Default: inferred from the columns.
        fields: Column -> kind, where inference is wrong.
        series: The column that says which series a row belongs to, if the data are a long table with one row per
            instant. Numbers that change within a series are its channels. Short for the setting source.series.
        time: The column of the times of a long table; short for source.time. Default: the order of the rows.
        encoders: Encoder key (a field or a kind of field) -> name, or {"name": ..., settings}.
        steps: Training steps; name at most one of `steps`, `epochs` and `minutes`. Default: what the recipe or config
            says, else 1,000 steps or 200 epochs, whichever is less.
        epochs: Passes over the training rows.
        minutes: Wall-clock limit for the whole run, reading and evaluation included.
        batch: Rows per step over all devices; short for the setting plan.batch.
        learning_rate: Short for the setting plan.learning_rate. Default: the optimiser's own.
        seed: Seed of all random numbers. Default: that of the recipe or config.
        settings: Dotted names of the experiment -> value, such as {"tasks.contrast.temperature": 0.1}.
        out: The run folder, new or empty. Default: runs/NAME-N, with the name of the data.
        device: auto, cpu, cuda, cuda:1 or mps.
        devices: Devices per machine. Default: as many as torchrun or SLURM started, else 1.
        nodes: Machines.
        strategy: "ddp" holds the whole encoders on each device, "fsdp" a part of them.
        trust_code: Whether a config file may name code of its own, which is then run.
        command: The command recorded in environment.json. Default: this call in short.
        logger: Receives facts, progress and the numbers of each step. Default: none.

    Returns:
        The finished run.

    Raises:
        UserError: Invalid data, recipe or settings.
        Interrupted: Ctrl-C or SIGTERM; during training, after a checkpoint to resume from.
    """
    short = {"plan.batch": batch, "plan.learning_rate": learning_rate, "source.series": series, "source.time": time}
    settings = {**{name: value for name, value in short.items() if value is not None}, **(settings or {})}
    began = clock.perf_counter()
    asked = _requested(recipe, config, tasks, encoders, seed, trust_code=trust_code)
    name = (short_name(data) if isinstance(data, str | Path) else "memory") if data is not None else recipe or ""
    data = asked.source.data if data is None else data
    if isinstance(data, str) and data == "memory":
        raise UserError("nothing to train on: name a path, or pass a table or arrays.")
    where = str(data) if isinstance(data, str | Path) else "memory"
    asked = replace(asked, source=replace(asked.source, data=where))
    if not steps is epochs is minutes is None:
        asked = replace(asked, plan=replace(asked.plan, steps=steps, epochs=epochs, minutes=minutes))
    shown = "<the same data>" if where == "memory" else repr(where)
    typed = command or f"kontrast.train({shown}, seed={asked.seed}, ...)"
    with launch(device_named(device), devices, nodes, strategy) as fleet:
        logger = _heard(logger, fleet)
        folder = _fresh(fleet, None if out is None else Path(out), name)
        try:
            with ExitStack() as holding:
                with fleet.in_turn():
                    holding.enter_context(folder.lock("kontrast train"))
                    frame, found, experiment, words = resolve(
                        data, asked, recipe=recipe, label=label, fields=fields, settings=settings, cache=folder.cache
                    )
                    folder.write_json("environment.json", environment(typed, str(fleet.device), fleet.words))
                    folder.write("experiment.json", experiment.to_json())  # last: with it the run can be resumed
                with _supervised(folder, experiment, logger, fleet):
                    return run_pipeline(frame, found, folder, words, logger, fleet, resume=False, began=began)
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
    """Continues an interrupted run from its newest intact checkpoint.

    The result equals that of an uninterrupted run: bit for bit on one CPU, up to rounding on another number of devices.

    Args:
        path: The run folder.
        data: The rows again, if they were in memory or have moved. Default: where the run read them.
        settings: Dotted names -> value; only accepted if they change nothing.
        device: auto, cpu, cuda, cuda:1 or mps.
        devices: Devices per machine. Default: as many as torchrun or SLURM started, else 1.
        nodes: Machines.
        strategy: "ddp" holds the whole encoders on each device, "fsdp" a part of them.
        trust_code: Whether code that experiment.json names may be loaded.
        logger: Receives facts, progress and the numbers of each step. Default: none.

    Returns:
        The finished run; one that was finished before is returned as it is.

    Raises:
        UserError: No run at `path`, or other settings or rows than it was begun with.
        Interrupted: Ctrl-C or SIGTERM; during training, after a checkpoint to resume from.
    """
    began = clock.perf_counter()
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
    source = source_again(path, experiment, data, "resume")
    with launch(device_named(device), devices, nodes, strategy) as fleet:
        logger = _heard(logger, fleet)
        folder = replace(folder, writes=fleet.first)
        with ExitStack() as holding:
            with fleet.in_turn():
                holding.enter_context(folder.lock("kontrast train --resume"))
                frame, _ = source_rows(source, experiment.source, cache=folder.cache)
                frame = with_records(frame, experiment.views)
                words, found = _begun(folder, frame, experiment)
            with _supervised(folder, experiment, logger, fleet):
                return run_pipeline(frame, found, folder, words, logger, fleet, resume=True, began=began)


def replay(
    path: str | Path,
    *,
    data: object = None,
    out: str | Path | None = None,
    device: str = "auto",
    trust_code: bool = False,
    logger: Logger | None = None,
) -> tuple[Run, Replay]:
    """Repeats a finished run into a new folder and compares the two.

    Rows, experiment and seed are the same. Losses, weights and scores are equal to the last bit on the same machine,
    library versions and number of threads.

    Args:
        path: The run folder.
        data: The rows again, if they were in memory or have moved. Default: where the run read them.
        out: The new run folder. Default: runs/NAME-N.
        device: auto, cpu, cuda, cuda:1 or mps.
        trust_code: Whether code that experiment.json names may be loaded.
        logger: Receives facts, progress and the numbers of each step. Default: none.

    Returns:
        The new run, and the first differences between the two.

    Raises:
        UserError: The run is not finished, or the rows are not the same.
    """
    old = Run.load(path, trust_code=trust_code)
    source = source_again(path, old.experiment, data, "replay")  # refused before there is a new folder
    begun = begin(old, None if out is None else Path(out))
    try:
        new = resume(begun.path, data=source, device=device, trust_code=trust_code, logger=logger)
    except UserError:
        begun.discard_unless_begun()
        raise
    return new, same(old, new)


def alone(
    path: str | Path,
    *,
    seeds: int = 1,
    data: object = None,
    level: float = 0.95,
    out: str | Path | None = None,
    device: str = "auto",
    trust_code: bool = False,
    command: str | None = None,
    logger: Logger | None = None,
    bars: Callable[[str], Logger] | None = None,
) -> alone_result.AloneResult:
    """Trains each task of a run alone, and compares it with all of them together.

    Rows, steps, batches and seed are those of the run, whose report shows the result. A repeated call goes on where it
    was stopped; more seeds may be added.

    Args:
        path: A finished run of several tasks.
        seeds: Seeds, from that of the run on. Default: 1, for which only the tasks alone are trained.
        data: The rows again, if they were in memory or have moved. Default: where the run read them.
        level: Level of the intervals. Default: 0.95.
        out: Folder of the trainings. Default: `alone` in the run folder.
        device: auto, cpu, cuda, cuda:1 or mps.
        trust_code: Whether code that experiment.json names may be loaded.
        command: The command that is recorded. Default: this call in short.
        logger: Receives how each training ended. Default: none.
        bars: Gives the logger of a training by its name. Default: none.

    Returns:
        Numbers of each task alone and together, and a sentence each.

    Raises:
        UserError: The run has one task or is not finished, or the rows are not the same.
    """
    run, heard = Run.load(path, trust_code=trust_code), logger or NullLogger()
    made = alone_runs.trainings(run, seeds, None if out is None else Path(out))
    source, typed = source_again(path, run.experiment, data, "alone"), command or f"kontrast.alone({str(path)!r})"

    def trained(arm: Arm, seed: int, folder: Path) -> None:
        if not (folder / "experiment.json").is_file():
            alone_runs.begin(run, arm, seed, folder, typed)
        bar = bars(f"{arm.name} · seed {seed}") if bars else None
        resume(folder, data=source, device=device, trust_code=trust_code, logger=bar)

    made.run(trained, lambda arm, seed, words: heard.fact("arm", f"{arm.name}, seed {seed}: {words}"))
    found = alone_result.result(made, trust_code=trust_code, level=level, command=typed)
    alone_result.keep(found, run)
    run.report()
    return found


def load(path: str | Path, *, trust_code: bool = False) -> Run:
    """Opens the run in a folder, finished or not.

    Args:
        path: The run folder.
        trust_code: Whether code that its experiment.json names may be loaded.

    Returns:
        The run; nothing else is read yet.

    Raises:
        UserError: There is no run at `path`.
    """
    return Run.load(path, trust_code=trust_code)


def _requested(
    recipe: str | None,
    config: Config | None,
    tasks: Mapping[str, Any] | None,
    encoders: Mapping[str, str | Mapping[str, Any] | Choice] | None,
    seed: int | None,
    *,
    trust_code: bool,
) -> Experiment:
    """Experiment that the arguments of `train` ask for: the recipe, changed by the config, then by the others."""
    asked: Experiment = registry.load("recipes", recipe)() if recipe else Experiment(tasks=one_task())
    asked = asked if config is None else configured(asked, config, trust_code=trust_code)
    asked = with_tasks(asked, tasks or {})
    named = {key: choice(value, f"encoder {key}") for key, value in (encoders or {}).items()}
    asked = replace(asked, encoders={**asked.encoders, **named})
    return asked if seed is None else replace(asked, seed=seed)


@contextmanager
def _supervised(folder: Folder, experiment: Experiment, logger: Logger, fleet: Launcher) -> Generator[None]:
    """Context of a run: Ctrl-C leaves a checkpoint, loggers listen, sums are repeatable, processes end together."""
    with (
        stoppable(folder),
        hearing(logger, folder.path),
        repeatable(experiment.plan, fleet.device),
        fleet.together(folder.go_on),
    ):
        yield


def _heard(logger: Logger | None, fleet: Launcher) -> Logger:
    """Forwards to the caller's logger and to messages.jsonl of the run, in the first process alone."""
    return Loggers([logger or NullLogger(), MessageLog()]) if fleet.first else NullLogger()


def _finished(folder: Folder, logger: Logger) -> Run:
    """Opens an evaluated run; writes the report if the run was killed before it could."""
    run = Run(folder.path, folder.trusts)
    if not (folder.path / "report.html").is_file() or folder.cache.is_dir():
        with folder.lock("kontrast train --resume"):
            run.report()
            folder.drop_cache()
    logger.fact("resume", f"{folder.path} is finished already; nothing to do")
    return run


def _begun(folder: Folder, frame: Frame, experiment: Experiment) -> tuple[dict[str, str], dict[str, Field]]:
    """Recipe and columns as recorded when the run began, else inferred again."""
    if (folder.path / "data.json").is_file():
        known = run_json.data(folder)
        return known["recipe"], {name: Field(**field) for name, field in known["fields"].items()}
    return {"name": experiment.names, "why": "as begun"}, infer(frame, experiment.source.fields, None)


def _fresh(fleet: Launcher, out: Path | None, name: str) -> Folder:
    """Creates the run folder in the first process; the others only read in it."""
    made = ""
    with fleet.in_turn():
        if fleet.first:
            made = str(Folder.fresh(out, name).path)
    return Folder(Path(fleet.broadcast(made)), writes=fleet.first, trusts=True)
