"""Evaluation of a run on data that it was not evaluated with."""

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from kontrast.core import random_streams
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.schema import fingerprint
from kontrast.evaluation.evaluate import evaluate
from kontrast.evaluation.usual import evaluators
from kontrast.reporting.logger import Logger, NullLogger
from kontrast.runs import messages
from kontrast.runs.build import learner_of
from kontrast.runs.folder.folder import TRAINED_ON, Folder, load_tensors
from kontrast.runs.margins import with_margins, with_rule
from kontrast.runs.model import Model, raw_bank
from kontrast.runs.opened import opened

_CALLER = 3  # frames from a warning here to the line that called `Run.evaluate`


def evaluate_on(folder: Folder, data: object, *, outside: bool, logger: Logger | None) -> list[dict[str, Any]]:
    """Evaluates the run in a folder on other data; `Run.evaluate` says how."""
    warn = partial(logger.fact, "WARNING") if logger else partial(warnings.warn, stacklevel=_CALLER)
    heard, logger = logger is not None, logger or NullLogger()
    model = Model.load(folder)
    untrained = replace(model, learner=learner_of(model.experiment, model.modalities, model.facts))
    model.learner.encoders.reference = untrained.learner.encoders.reference  # what is served leaves the start out
    kept = {
        name: EmbeddingTable.load(folder.embeddings / f"{name}-train.parquet")
        for name in ("trained", "untrained", "raw")
    }
    with opened(model, data, outside, logger) as dataset:
        rows = np.arange(len(dataset.ids))
        facts = {"data": fingerprint.of_rows(dataset.ids, dataset.content), "trained_on": _trained_on(folder, dataset)}
        if facts["trained_on"] > messages.HANDFUL * len(rows):
            warn(messages.trained_on(facts["trained_on"], len(rows)))
        elif facts["trained_on"]:
            logger.fact("note", f"{facts['trained_on']:,} of {len(rows):,} rows were trained on too")
        if new := messages.unseen(kept["trained"].labels, dataset.labels):
            (partial(logger.fact, "note") if heard else warn)(new)
        now, before = (m.embed(dataset, rows, progress=logger.progress) for m in (model, untrained))
        tests = {
            "trained": with_margins(model, dataset, now, rows),
            "untrained": with_margins(untrained, dataset, before, rows),
            "raw": with_rule(model, dataset, raw_bank(model.modalities, dataset, rows), rows),
        }
    banks = {name: (replace(kept[name], z={f: kept[name].z[f] for f in test.z}), test) for name, test in tests.items()}
    return [
        {**row, **facts}
        for row in evaluate(evaluators(model.experiment), banks, random_streams.folded(model.experiment.seed))
    ]


def _trained_on(folder: Folder, dataset: Dataset) -> int:
    """Number of rows that the run was trained on, by their content, whatever their ids."""
    file = folder.path / TRAINED_ON
    known = {name: hashes.numpy() for name, hashes in load_tensors(file).items()} if file.is_file() else {}
    return int(fingerprint.trained_rows(dataset.content, known).sum())
