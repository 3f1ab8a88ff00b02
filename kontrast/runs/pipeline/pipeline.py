"""The pipeline of a run: reads rows, trains, evaluates and writes the report."""

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kontrast.core import random_streams
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment
from kontrast.core.shared_work import SharedWork
from kontrast.data.dataset.dataset import Dataset, Quarantined, TooManyUnreadable, prepare
from kontrast.data.schema import fingerprint
from kontrast.data.schema.fields import Field
from kontrast.data.tables.frame import Frame
from kontrast.data.tables.record import read_by
from kontrast.evaluation.metric_result import MetricResult
from kontrast.reporting.logger import Logger
from kontrast.runs import messages
from kontrast.runs.build import describe, facts_of, learner_of, modalities_of
from kontrast.runs.folder.folder import QUARANTINE, TRAINED_ON, Folder
from kontrast.runs.margins import with_margins, with_rule
from kontrast.runs.model import Model, raw_bank
from kontrast.runs.pipeline import evaluation_rows
from kontrast.runs.pipeline.held_pairs import keep_after, keep_before, measured, of_each_task
from kontrast.runs.pipeline.resolve import resolved
from kontrast.runs.pipeline.results import write_results
from kontrast.runs.pipeline.train import train
from kontrast.runs.pipeline.trial import try_out
from kontrast.runs.run import Run
from kontrast.runs.teachers.taught import with_teachers
from kontrast.training.budget import Budget
from kontrast.training.launcher import Launcher


def run_pipeline(
    frame: Frame,
    fields: Mapping[str, Field],
    folder: Folder,
    recipe: dict[str, str],
    logger: Logger,
    fleet: Launcher,
    *,
    resume: bool,
    began: float,
) -> Run:
    """Runs the folder's experiment on opened rows, up to scores and report.

    Returns in the first process only.

    Args:
        frame: The rows.
        fields: Column -> its kind and the reason for it.
        folder: The run folder, with experiment.json.
        recipe: `name` of the recipe, and `why` it was chosen.
        logger: Receives facts, progress and the numbers of each step.
        fleet: The processes of the run.
        resume: Whether to continue from the newest checkpoint.
        began: When the run began, by `time.perf_counter()`; its minutes count from then.

    Returns:
        The finished run.

    Raises:
        UserError: Rows that cannot be used or have changed since the run began, or an experiment that does not fit.
        Interrupted: Ctrl-C or SIGTERM.
    """
    experiment = folder.experiment()
    budget = Budget(experiment.plan.minutes, began)
    modalities = modalities_of(experiment)
    with fleet.in_turn():
        data = _read(frame, fields, experiment, modalities, folder, recipe, logger)
    data = with_teachers(data, frame, experiment, folder, fleet, logger)
    with fleet.in_turn():
        known = facts_of(data)
        experiment = resolved(experiment, modalities)
        model = Model(experiment, modalities, learner_of(experiment, modalities, known).to(fleet.device), facts=known)
    _introduce(model, data, recipe, logger)
    try_out(model, data, fleet)
    done = fleet.any(fleet.first and resume and (folder.embeddings / "untrained-test.parquet").is_file())[0]
    model, chosen = _chosen(model, data, folder, logger, fleet, budget, done=done)
    work = SharedWork(fleet.ranks)
    if not done:
        budget.after = _baselines(folder, model, data, chosen, logger, work)
    model, ended = train(model, data, folder, logger, fleet, resume=resume, budget=budget)
    _encoded(folder, "trained", model, data, chosen, logger, work)
    after = _pairs(folder, model, data, chosen, work)
    fleet.part()
    write_results(folder, model, data, ended, (chosen.train, chosen.test), dict(chosen.sizes), after, logger)
    run = Run(folder.path, folder.trusts)
    run.report()
    logger.fact("run", f"{folder.path}    report.html · encoder/ · embeddings/ · experiment.json")
    some = any(n < of for n, of in chosen.sizes.values())
    logger.fact("next", messages.next_steps(folder.path, model, some=some))
    folder.drop_cache()
    return run


def _introduce(model: Model, data: Dataset, recipe: Mapping[str, str], logger: Logger) -> None:
    """Logs what is trained, from which targets, with which encoders and views."""
    logger.fact("recipe", f"{recipe['name']} · {recipe['why']}")
    for caution in dict.fromkeys(task.caution for task in model.learner.parts.values() if task.caution):
        logger.fact("caution", caution)
    if learnt := messages.targets(data, model.learner.needs):
        logger.fact("targets", learnt)
    logger.fact("encoder", describe(model.learner))
    if seen := messages.views(model.modalities):
        logger.fact("views", seen)


def _read(
    frame: Frame,
    fields: Mapping[str, Field],
    experiment: Experiment,
    modalities: dict[str, Any],
    folder: Folder,
    recipe: dict[str, str],
    logger: Logger,
) -> Dataset:
    """Reads, caches and splits the rows; refuses to resume on other rows."""
    known = folder.read_json("data.json") if (folder.path / "data.json").is_file() else None
    early = known is not None and "validation" not in known  # an old run: it recorded no validation rows and targets
    try:
        data = prepare(
            frame,
            fields,
            modalities,
            source=experiment.source,
            seed=experiment.seed,
            cache=folder.cache,
            fit=True,
            progress=lambda done, total: logger.progress("reading", done, total),
            again=not early,
        )
    except TooManyUnreadable as refused:
        listed = _quarantine(folder, refused.quarantined)
        raise UserError(f"{refused} All of them are in {listed}.") from refused
    if data.quarantined:
        _quarantine(folder, data.quarantined)
    now = {
        name: part
        for name, part in data.fingerprint.items()
        if not early or known is None or name in known["fingerprint"]
    }
    if known is not None and known["fingerprint"] != now:
        raise UserError(
            f"{frame.name} has changed since {folder.path} was begun; a resumed run must see the same rows."
        )
    kinds = {name: {"kind": f.kind, "why": f.why} for name, f in fields.items()}
    told = {**facts(data), "fingerprint": now, "fields": kinds, "recipe": recipe}
    if early:
        del told["validation"]  # its absence marks an old run
    folder.write_json("data.json", told)
    known_rows = fingerprint.trained(data.content, np.flatnonzero(data.training))
    folder.save_tensors(TRAINED_ON, {name: torch.from_numpy(hashes) for name, hashes in known_rows.items()})
    seen = read_by(experiment.views)
    logger.fact("data", messages.data(data, {n: k for n, k in kinds.items() if n not in seen}, folder.path))
    logger.fact("split", messages.split(data))
    if data.labels is not None and (new := messages.unseen(data.labels[~data.held_out], data.labels[data.held_out])):
        logger.fact("note", new)
    return data


def facts(data: Dataset) -> dict[str, Any]:
    """Facts of the data for data.json: counts, labels, quarantined rows, fingerprint."""
    labels = None
    if data.labels is not None:
        names, counts = np.unique(data.labels[data.labels != ""], return_counts=True)
        labels = dict(sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda pair: -pair[1]))
    return {
        "name": data.name,
        "rows": len(data.ids),
        "train": int(data.training.sum()),
        "validation": int(data.validation.sum()),
        "held_out": int(data.held_out.sum()),
        "divided": data.divided,
        "missing": dict(data.missing),
        "duplicates": data.duplicates,
        "quarantined": [dict(zip(("row", "id", "field", "reason"), q, strict=True)) for q in data.quarantined],
        "labels": labels,
        "fingerprint": data.fingerprint,
    }


def _quarantine(folder: Folder, rows: Sequence[Quarantined]) -> Path:
    """Writes quarantine.csv: the rows that were left out, each with its reason."""
    out = io.StringIO()
    csv.writer(out).writerows([("row", "id", "field", "reason"), *rows])
    return folder.write(QUARANTINE, out.getvalue())


def _shuffled(data: Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and held-out rows, ordered by seed and ids alone."""
    order = np.argsort(random_streams.mix(torch.from_numpy(data.keys) + random_streams.folded(seed)).numpy())
    return order[data.training[order]], order[data.held_out[order]]


@dataclass(frozen=True)
class _Chosen:
    """The rows that a run is evaluated on.

    Attributes:
        train: Sorted indices of training rows.
        test: Sorted indices of held-out rows.
        held: Indices of all held-out rows, in an order of seed and ids alone.
        most: Largest number of held-out rows.
        sizes: Part -> rows evaluated, and rows there are.
    """

    train: np.ndarray
    test: np.ndarray
    held: np.ndarray
    most: int
    sizes: Mapping[str, tuple[int, int]]


def _chosen(
    model: Model, data: Dataset, folder: Folder, logger: Logger, fleet: Launcher, budget: Budget, *, done: bool
) -> tuple[Model, _Chosen]:
    """Chooses the rows that the run is evaluated on.

    Their number is written to experiment.json before any is embedded.

    Args:
        model: The untrained model.
        data: The dataset.
        folder: The run folder.
        logger: Receives the number of rows if not all are evaluated.
        fleet: The processes of the run.
        budget: The minutes of the run.
        done: Whether an earlier session has embedded them untrained; without a number in the plan it is an old run.

    Returns:
        The model with the number in its plan, and the rows.
    """
    taught, looked = _shuffled(data, model.experiment.split_seed)
    most = model.experiment.plan.evaluation_rows
    if most is None:
        most = evaluation_rows.EARLIER if done else evaluation_rows.chosen(model, data, taught, budget)
        most = int(fleet.broadcast(str(most)))  # clocks differ between processes; the first one decides
        model = replace(model, experiment=evaluation_rows.pinned(model.experiment, most))
        folder.write("experiment.json", model.experiment.to_json())
    train, test = np.sort(taught[: evaluation_rows.TAUGHT * most]), np.sort(looked[:most])
    sizes = {"train": (len(train), len(taught)), "test": (len(test), len(looked))}
    short = budget.minutes is not None and most < evaluation_rows.USUAL
    if said := evaluation_rows.words(sizes["train"], sizes["test"], short=short):
        logger.fact("evaluation", said)
    return model, _Chosen(train, test, looked, most, sizes)


def _bank(
    folder: Folder,
    name: str,
    embed: Callable[[np.ndarray], EmbeddingTable],
    rows: _Chosen,
    scored: Callable[[EmbeddingTable, np.ndarray], EmbeddingTable],
) -> None:
    """Writes the embeddings of training and held-out rows, the latter with what else they are evaluated by.

    All processes embed, the first one writes.
    """
    train, test = embed(rows.train), scored(embed(rows.test), rows.test)
    for part, table in (("train", train), ("test", test)):
        if folder.writes:
            table.save(folder.embeddings / f"{name}-{part}.parquet")


def _baselines(folder: Folder, model: Model, data: Dataset, rows: _Chosen, logger: Logger, work: SharedWork) -> float:
    """Writes the raw features and the embeddings by the untrained model; all processes take part.

    Returns:
        Seconds for the latter, which those by the trained model take too.
    """
    ruled = partial(with_rule, model, data)
    _bank(folder, "raw", lambda part: raw_bank(model.modalities, data, part, work), rows, ruled)
    start = time.perf_counter()
    keep_before(folder, measured(model, data, rows.held, rows.most, work))
    _encoded(folder, "untrained", model, data, rows, logger, work)
    return time.perf_counter() - start


def _encoded(
    folder: Folder, name: str, model: Model, data: Dataset, rows: _Chosen, logger: Logger, work: SharedWork
) -> None:
    """Writes the embeddings by a model; all processes take part."""
    scored = partial(with_margins, model, data, work=work)
    _bank(folder, name, lambda part: model.embed(data, part, progress=logger.progress, work=work), rows, scored)


def _pairs(folder: Folder, model: Model, data: Dataset, rows: _Chosen, work: SharedWork) -> MetricResult | None:
    """AUC of the served task's pairs by the trained model; that of each task is written to the folder."""
    after = measured(model, data, rows.held, rows.most, work)
    several = len(model.learner.tasks) > 1
    each = of_each_task(model, data, rows.held, rows.most, work) if several else {model.learner.serve: after}
    keep_after(folder, each)
    return after
