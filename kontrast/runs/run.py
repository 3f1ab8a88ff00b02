"""A Run: a folder from which one embeds, scores, searches and reports."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from kontrast.core import find
from kontrast.core.bank import Bank
from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment
from kontrast.data.dataset import Dataset, prepare
from kontrast.data.fields import infer
from kontrast.data.open import open_frame
from kontrast.runs.folder import Folder
from kontrast.runs.gather import gather
from kontrast.runs.listener import Listener, Silence
from kontrast.runs.model import Model, Precision, method_of, raw_bank
from kontrast.runs.query import ask
from kontrast.runs.report import write_report
from kontrast.scoring.judge import judge
from kontrast.scoring.score import Score
from kontrast.search import index as indexing
from kontrast.search.index import Hit

BANKS = ("trained", "untrained", "raw")


@dataclass(frozen=True)
class Run:
    """A run in its folder. Everything is read when asked for, so a Run costs nothing to hold."""

    path: Path

    @staticmethod
    def load(path: str | Path) -> "Run":
        """The run in that folder."""
        return Run(Folder.existing(Path(path)).path)

    @property
    def experiment(self) -> Experiment:
        """What was run, everything resolved."""
        return Folder(self.path).experiment()

    @property
    def scores(self) -> list[dict[str, Any]]:
        """The table of scores: each number with its interval, beside raw features and the untrained encoder."""
        return Folder(self.path).read_json("scores.json")["scores"]

    @property
    def verdict(self) -> dict[str, Any]:
        """Whether it learned: state, words and likely causes."""
        return Folder(self.path).read_json("scores.json")["verdict"]

    def bank(self, name: str = "trained-test") -> Bank:
        """One of the banks judged at the end: {trained, untrained, raw}-{train, test}."""
        return Bank.load(self.path / "banks" / f"{name}.parquet")

    def embed(
        self, data: object, *, batch: int = 256, precision: Precision = "32", listener: Listener | None = None
    ) -> Bank:
        """Embed any data that has (some of) the run's fields; `batch` changes speed and memory only.

        precision: "bf16" is several times faster where the machine computes it, at a cosine of .999 to the same row in
        float32.
        """
        if batch < 1:
            raise UserError(f"embed: batch={batch}; expected 1 or more.")
        if precision not in get_args(Precision):
            raise UserError(f"embed: precision={precision!r}; expected '32' or 'bf16'.")
        listener = listener or Silence()
        model = Model.load(Folder(self.path))
        model = model.halved() if precision == "bf16" else model
        with self._opened(model, data, listener) as dataset:
            return model.embed(dataset, batch=batch, progress=listener.progress)

    def score(self, data: object, *, listener: Listener | None = None) -> list[dict[str, Any]]:
        """Judge on other data: its rows are the test; the rows the run was trained on teach kNN and probe."""
        listener = listener or Silence()
        model = Model.load(Folder(self.path))
        untrained = replace(model, method=method_of(model.experiment, model.modalities))
        with self._opened(model, data, listener) as dataset:
            rows = np.arange(len(dataset.ids))
            tests = {
                "trained": model.embed(dataset, rows, progress=listener.progress),
                "untrained": untrained.embed(dataset, rows, progress=listener.progress),
                "raw": raw_bank(model.modalities, dataset, rows),
            }
        banks = {}
        for name, test in tests.items():
            train = self.bank(f"{name}-train")
            banks[name] = (replace(train, z={f: train.z[f] for f in test.z}), test)
        return judge(judges(model.experiment), banks, model.experiment.seed)

    def index(self, data: object = None, *, listener: Listener | None = None) -> Path:
        """Build the search index over `data`, or over the rows this run was judged with; it lies in the run folder."""
        bank = (
            joined(self.bank("trained-train"), self.bank("trained-test"))
            if data is None
            else self.embed(data, listener=listener)
        )
        indexing.build(bank, self.path / "index")
        return self.path / "index"

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
        model = Model.load(Folder(self.path))
        cell = like if query is None else query
        name, cell = ask(model, cell, field, text=query is not None)
        if among is not None and not model.method.shared and among != name:
            raise UserError(f"the fields of this run do not share a space: '{name}' finds '{name}' only.")
        vector = model.embed_cells(name, [cell])[0]
        target = among or (None if model.method.shared else name)
        return indexing.Index.open(self.path / "index").search(vector, k, field=target, where=where)

    def report(self) -> Path:
        """(Re)write report.html, one self-contained file."""
        return write_report(gather(Folder(self.path)), self.path / "report.html")

    @contextmanager
    def _opened(self, model: Model, data: object, listener: Listener) -> Iterator[Dataset]:
        """Other data, read as the run's own was."""
        with tempfile.TemporaryDirectory(prefix="kontrast-") as cache:
            frame = open_frame(data, cache=Path(cache))
            known = {name: kind for name, kind in self.experiment.source.fields.items() if name in frame.columns}
            fields = {n: f for n, f in infer(frame, known, None).items() if n in known}
            there = {name: m for name, m in model.modalities.items() if name in fields}
            if not there:
                raise UserError(
                    f"{frame.name} has none of this run's fields ({', '.join(model.fields)}); its columns: "
                    f"{', '.join(frame.columns)}."
                )
            source = replace(model.experiment.source, quarantine=1.0)
            dataset = prepare(
                frame,
                fields,
                there,
                source=source,
                seed=model.experiment.seed,
                cache=Path(cache),
                fit=False,
                progress=lambda done, total: listener.progress("reading", done, total),
            )
            if dataset.quarantined:
                row, name, field, reason = dataset.quarantined[0]
                first = f"the first: row {row} ('{name}'){f', {field}' if field else ''}: {reason.rstrip('.')}"
                if not len(dataset):
                    raise UserError(f"{frame.name}: none of its {len(frame):,} rows can be used; {first}.")
                listener.fact("data", f"{len(dataset.quarantined):,} of {len(frame):,} rows are left out; {first}")
            yield dataset


def judges(experiment: Experiment) -> list[Score]:
    """The judges an experiment names; all there are where it names none."""
    named = experiment.scores or tuple(Choice(name) for name in find.rooms()["scoring"])
    made: list[Score] = [find.build("scoring", score.name, score.settings) for score in named]
    return sorted(made, key=lambda judge: judge.place)


def joined(one: Bank, two: Bank) -> Bank:
    """The rows of both, one after the other."""
    labels = None if one.labels is None or two.labels is None else np.concatenate([one.labels, two.labels])
    z = {name: np.concatenate([one.z[name], two.z[name]]) for name in one.z}
    metadata = pa.concat_tables([one.metadata, two.metadata], promote_options="permissive")
    return Bank(z, np.concatenate([one.ids, two.ids]), labels, metadata, one.shared)
