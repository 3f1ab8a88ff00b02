"""A Run: a folder from which one embeds, scores, searches and reports."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from kontrast.core import factory, random_streams, registry, renamed
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment
from kontrast.core.untrusted_json import fitting
from kontrast.data.dataset.dataset import Dataset, prepare
from kontrast.data.schema import fingerprint
from kontrast.data.schema.fields import infer
from kontrast.data.schema.missing_values import emptied
from kontrast.data.sources.open_source import open_frame
from kontrast.evaluation.evaluate import evaluate
from kontrast.evaluation.evaluator import Evaluator
from kontrast.reporting.drawings import Drawing, curve_drawing, map_drawing
from kontrast.reporting.logger import Logger, NullLogger
from kontrast.reporting.report import write_report
from kontrast.runs import kept, messages
from kontrast.runs.embedder import Embedder
from kontrast.runs.folder import TRAINED_ON, Folder, load_tensors
from kontrast.runs.lock import held
from kontrast.runs.model import Model, Precision, method_of, raw_bank
from kontrast.runs.notebook import card
from kontrast.runs.report_data import gather
from kontrast.runs.search_query import ask
from kontrast.search import index as indexing
from kontrast.search.index import Hit, Index

BANKS = ("trained", "untrained", "raw")


@dataclass(frozen=True)
class Run:
    """A run in its folder. Everything is read when asked for, so a Run costs nothing to hold."""

    path: Path
    trust_code: bool = False

    @staticmethod
    def load(path: str | Path, *, trust_code: bool = False) -> "Run":
        """The run in that folder.

        Args:
            path: The run folder.
            trust_code: Whether classes of your own that its experiment.json names may be loaded, which runs their code.
        """
        return Run(Folder.existing(Path(path)).path, trust_code)

    @property
    def folder(self) -> Folder:
        """Where it lies."""
        return Folder(self.path, trusts=self.trust_code)

    @property
    def experiment(self) -> Experiment:
        """What was run, everything resolved."""
        return self.folder.experiment()

    @property
    def scores(self) -> list[dict[str, Any]]:
        """The table of scores: each number with its interval, beside raw features and the untrained encoder."""
        return kept.scores(self.folder)["scores"]

    @property
    def verdict(self) -> dict[str, Any]:
        """Whether it learned: state, words and likely causes."""
        return kept.scores(self.folder)["verdict"]

    def embeddings(self, name: str = "trained-test") -> EmbeddingTable:
        """The table of embeddings that scores were computed from.

        Args:
            name: {trained, untrained, raw}-{train, test}.
        """
        return EmbeddingTable.load(self.folder.embeddings / f"{name}.parquet")

    def embed(
        self,
        data: object,
        *,
        batch: int = 256,
        precision: Precision = "32",
        outside: bool = False,
        logger: Logger | None = None,
    ) -> EmbeddingTable:
        """Embed any data that has (some of) the run's fields; `batch` changes speed and memory only.

        precision: "bf16" is several times faster where the machine computes it, at a cosine of .999 to the same row in
        float32. outside: whether cells may name files outside of the data's folder; else such rows are left out.
        """
        if batch < 1:
            raise UserError(f"embed: batch={batch}; expected 1 or more.")
        if precision not in get_args(Precision):
            raise UserError(f"embed: precision={precision!r}; expected '32' or 'bf16'.")
        logger = logger or NullLogger()
        model = Model.load(self.folder)
        model = model.halved() if precision == "bf16" else model
        with self._opened(model, data, outside, logger) as dataset:
            return model.embed(dataset, batch=batch, progress=logger.progress)

    def evaluate(self, data: object, *, outside: bool = False, logger: Logger | None = None) -> list[dict[str, Any]]:
        """Evaluate on other data: its rows are the test; the rows the run was trained on teach kNN and probe.

        Each score tells the fingerprint of the rows (`data`) and how many of them were trained on (`trained_on`), which
        is also said aloud where they are more than a handful: to the logger, or as a warning where there is none. So
        are classes that training never saw.
        """
        warn = partial(logger.fact, "WARNING") if logger else partial(warnings.warn, stacklevel=3)
        heard, logger = logger is not None, logger or NullLogger()
        model = Model.load(self.folder)
        untrained = replace(model, method=method_of(model.experiment, model.modalities, model.facts))
        with self._opened(model, data, outside, logger) as dataset:
            rows = np.arange(len(dataset.ids))
            facts = {"data": fingerprint.of_rows(dataset.ids, dataset.content), "trained_on": self._trained_on(dataset)}
            if facts["trained_on"] > messages.HANDFUL * len(rows):
                warn(messages.trained_on(facts["trained_on"], len(rows)))
            elif facts["trained_on"]:
                logger.fact("note", f"{facts['trained_on']:,} of {len(rows):,} rows were trained on too")
            if new := messages.unseen(self.embeddings("trained-train").labels, dataset.labels):
                (partial(logger.fact, "note") if heard else warn)(new)
            tests = {
                "trained": model.embed(dataset, rows, progress=logger.progress),
                "untrained": untrained.embed(dataset, rows, progress=logger.progress),
                "raw": raw_bank(model.modalities, dataset, rows),
            }
        banks = {}
        for name, test in tests.items():
            train = self.embeddings(f"{name}-train")
            banks[name] = (replace(train, z={f: train.z[f] for f in test.z}), test)
        return [
            {**row, **facts}
            for row in evaluate(evaluators(model.experiment), banks, random_streams.folded(model.experiment.seed))
        ]

    def score(self, data: object, *, outside: bool = False, logger: Logger | None = None) -> list[dict[str, Any]]:
        """The old name of `evaluate`."""
        renamed.notice("Run.score", "Run.evaluate")
        return self.evaluate(data, outside=outside, logger=logger)

    def bank(self, name: str = "trained-test") -> EmbeddingTable:
        """The old name of `embeddings`."""
        renamed.notice("Run.bank", "Run.embeddings")
        return self.embeddings(name)

    def _trained_on(self, dataset: Dataset) -> int:
        """How many of these rows the run was trained on; by what they hold, whatever they are called."""
        file = self.path / TRAINED_ON
        known = {name: hashes.numpy() for name, hashes in load_tensors(file).items()} if file.is_file() else {}
        return int(fingerprint.seen(dataset.content, known).sum())

    def index(
        self,
        data: object = None,
        *,
        engine: str = "lancedb",
        settings: Mapping[str, Any] | None = None,
        add: bool = False,
        outside: bool = False,
        logger: Logger | None = None,
    ) -> Index:
        """Build the search index over `data`, or over the rows this run was judged with.

        index.json lies in the run folder, the rows where `engine` (lancedb, faiss, pgvector) and its `settings` say.
        add: into the index there is; rows with the same ids are replaced.
        """
        if add and data is None:
            raise UserError("index: nothing to add; name the data.")
        with held(self.path, "kontrast index"):
            if add:
                index = Index.open(self.path / "index", trust_code=self.trust_code)
                index.add(self.embed(data, outside=outside, logger=logger))
                return index
            bank = (
                joined(self.embeddings("trained-train"), self.embeddings("trained-test"))
                if data is None
                else self.embed(data, outside=outside, logger=logger)
            )
            if data is None and logger and (said := messages.indexed(kept.scores(self.folder).get("rows"))):
                logger.fact("note", said)
            label = next((name for name, kind in self.experiment.source.fields.items() if kind == "label"), None)
            return indexing.build(bank, self.path / "index", engine=engine, settings=settings, label=label)

    def unindex(self, where: str, *, everything: bool = False) -> int:
        """Take the rows that a filter describes out of the index; returns how many records they were.

        Args:
            where: The filter.
            everything: Whether the filter may describe all there are.

        Raises:
            UserError: An empty filter, or one that would leave nothing.
        """
        with held(self.path, "kontrast index --delete"):
            return Index.open(self.path / "index", trust_code=self.trust_code).delete(
                where=where, everything=everything
            )

    def search(
        self,
        query: object = None,
        *,
        like: object = None,
        field: str | None = None,
        among: str | None = None,
        k: int = 5,
        where: str | None = None,
    ) -> list[Hit]:
        """The k rows nearest to a text (`query`) or to a picture, a series, ... (`like`).

        field: which field of the run the query is one of, where several could be meant. among: the field of the rows to
        find; None: any. where: a filter over label and metadata, in SQL.
        """
        if (query is None) == (like is None):
            raise UserError(
                f"search takes a text or something to be `like`; found {'neither' if query is None else 'both'}."
            )
        if k < 1:
            raise UserError(f"search: k={k}; expected 1 or more.")
        model = Model.load(self.folder)
        cell = like if query is None else query
        name, cell = ask(model, cell, field, text=query is not None)
        if among is not None and not model.method.shared and among != name:
            raise UserError(f"the fields of this run do not share a space: '{name}' finds '{name}' only.")
        vector = model.embed_cells(name, [cell])[0]
        target = among or (None if model.method.shared else name)
        return Index.open(self.path / "index", trust_code=self.trust_code).search(vector, k, field=target, where=where)

    def report(self) -> Path:
        """(Re)write report.html, one self-contained file."""
        with fitting(str(self.path)):
            return write_report(gather(self.folder), self.path / "report.html")

    def module(self, field: str | None = None) -> Embedder:
        """The encoder of a field (named where there are several) as a torch module, for a loop of your own."""
        model = Model.load(self.folder)
        if field is None and len(model.fields) > 1:
            raise UserError(f"this run has several fields; name one: {', '.join(model.fields)}.")
        name = field or model.fields[0]
        z = self.embeddings("trained-test").z
        return Embedder(model, name, z[name].shape[1] if name in z else 0)

    def plot(self, what: str = "map") -> Drawing:
        """A drawing for a notebook: "map", or a curve of the moments or their health: "loss", "rate", "spread", ..."""
        if what == "map":
            return map_drawing(self.embeddings())
        return curve_drawing(self.folder.moments(), what)

    def _repr_html_(self) -> str:
        with fitting(str(self.path)):
            return card(self.folder)

    @contextmanager
    def _opened(self, model: Model, data: object, outside: bool, logger: Logger) -> Iterator[Dataset]:
        """Other data, read as the run's own was."""
        with tempfile.TemporaryDirectory(prefix="kontrast-") as cache:
            frame = emptied(open_frame(data, cache=Path(cache)), self.experiment.source.missing)
            known = {name: kind for name, kind in self.experiment.source.fields.items() if name in frame.columns}
            fields = {n: f for n, f in infer(frame, known, None).items() if n in known}
            there = {name: m for name, m in model.modalities.items() if name in fields}
            if not there:
                raise UserError(
                    f"{frame.name} has none of this run's fields ({', '.join(model.fields)}); its columns: "
                    f"{', '.join(frame.columns)}."
                )
            source = replace(model.experiment.source, quarantine=1.0, outside=outside)
            dataset = prepare(
                frame,
                fields,
                there,
                source=source,
                seed=model.experiment.seed,
                cache=Path(cache),
                fit=False,
                progress=lambda done, total: logger.progress("reading", done, total),
            )
            if dataset.quarantined:
                row, name, field, reason = dataset.quarantined[0]
                first = f"the first: row {row} ('{name}'){f', {field}' if field else ''}: {reason.rstrip('.')}"
                if not len(dataset):
                    raise UserError(f"{frame.name}: none of its {len(frame):,} rows can be used; {first}.")
                logger.fact("data", f"{len(dataset.quarantined):,} of {len(frame):,} rows are left out; {first}")
            yield dataset


def evaluators(experiment: Experiment) -> list[Evaluator]:
    """The judges an experiment names; all there are where it names none."""
    named = experiment.scores or tuple(Choice(name) for name in registry.kinds("evaluators"))
    made: list[Evaluator] = [factory.build("evaluators", score.name, score.settings) for score in named]
    return sorted(made, key=lambda evaluate: evaluate.place)


def joined(one: EmbeddingTable, two: EmbeddingTable) -> EmbeddingTable:
    """The rows of both, one after the other."""
    labels = None if one.labels is None or two.labels is None else np.concatenate([one.labels, two.labels])
    z = {name: np.concatenate([one.z[name], two.z[name]]) for name in one.z}
    metadata = pa.concat_tables([one.metadata, two.metadata], promote_options="permissive")
    golds = None if one.golds is None or two.golds is None else np.concatenate([one.golds, two.golds])
    return EmbeddingTable(z, np.concatenate([one.ids, two.ids]), labels, metadata, one.shared, golds)
