"""A run: embeds, evaluates, searches and reports from its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from kontrast.core import renamed
from kontrast.core.anomaly_table import AnomalyTable
from kontrast.core.embedding_table import EmbeddingTable, joined
from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment
from kontrast.core.instant_table import InstantTable
from kontrast.core.untrusted_json import fitting
from kontrast.evaluation.neighbour_distances import NEIGHBOURS
from kontrast.reporting.drawings import Drawing, curve_drawing, map_drawing
from kontrast.reporting.logger import Logger, NullLogger
from kontrast.reporting.report import write_report
from kontrast.runs import captions, instants, messages
from kontrast.runs.anomalies import SHARE, Request, Score, Scoring, score_anomalies
from kontrast.runs.embedder import Embedder
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder
from kontrast.runs.folder.lock import lock_folder
from kontrast.runs.instants import AT_ONCE, LENGTH, PADDING, Window
from kontrast.runs.model import Model, Precision
from kontrast.runs.notebook import card
from kontrast.runs.opened import opened
from kontrast.runs.other_data import evaluate_on
from kontrast.runs.report_data import report_data
from kontrast.runs.search_query import ask
from kontrast.search import index as indexing
from kontrast.search.index import Hit, Index

BANKS = ("trained", "untrained", "raw")


@dataclass(frozen=True)
class Run:
    """A training run, finished or not, by its folder.

    Files are read on access, so that a Run is cheap to hold.

    Attributes:
        path: The run folder.
        trust_code: Whether code that its experiment.json names may be loaded.
    """

    path: Path
    trust_code: bool = False

    @staticmethod
    def load(path: str | Path, *, trust_code: bool = False) -> "Run":
        """Opens the run in a folder.

        Args:
            path: The run folder.
            trust_code: Whether classes of your own that its experiment.json names may be loaded, which runs their code.

        Raises:
            UserError: There is no run at `path`.
        """
        return Run(Folder.existing(Path(path)).path, trust_code)

    @property
    def folder(self) -> Folder:
        """The run folder with its readers and writers."""
        return Folder(self.path, trusts=self.trust_code)

    @property
    def experiment(self) -> Experiment:
        """The experiment of the run, with every default filled in."""
        return self.folder.experiment()

    @property
    def scores(self) -> list[dict[str, Any]]:
        """The scores: per number its interval, and the baselines raw features and untrained encoder."""
        return run_json.scores(self.folder)["scores"]

    @property
    def verdict(self) -> dict[str, Any]:
        """Whether the run learned anything: state, words and likely causes."""
        return run_json.scores(self.folder)["verdict"]

    def embeddings(self, name: str = "trained-test") -> EmbeddingTable:
        """The embeddings that the run's scores were computed from.

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
        """Embeds data that has at least one of the run's fields.

        Args:
            data: A path or an object in memory, as for `kontrast.train`.
            batch: Rows embedded at a time; changes speed and memory only.
            precision: "32", or "bf16": several times faster where the machine computes it, at a cosine of .999 to the
                same row in float32.
            outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.
            logger: Receives progress and the rows left out. Default: none.

        Returns:
            One embedding of length 1 per row and field, with ids, labels and metadata.

        Raises:
            UserError: No field of the run is in the data, no row can be read, or an argument is out of range.
        """
        if batch < 1:
            raise UserError(f"embed: batch={batch}; expected 1 or more.")
        if precision not in get_args(Precision):
            raise UserError(f"embed: precision={precision!r}; expected '32' or 'bf16'.")
        logger = logger or NullLogger()
        model = Model.load(self.folder)
        model = model.halved() if precision == "bf16" else model
        with opened(model, data, outside, logger) as dataset:
            return model.embed(dataset, batch=batch, progress=logger.progress)

    def embed_instants(
        self,
        data: object,
        *,
        window: Window = "whole",
        length: int = LENGTH,
        padding: int = PADDING,
        field: str | None = None,
        batch: int = AT_ONCE,
        outside: bool = False,
        logger: Logger | None = None,
    ) -> InstantTable:
        """Embeds each instant of series, at their full length.

        Args:
            data: The rows: a path or an object in memory, as for `kontrast.train`. Rows may differ in length.
            window: What the encoder sees: the "whole" row; "sliding", `length` instants and `padding` more on either
                side; or "causal", an instant and the `padding` before it, nothing that follows.
            length: Instants that a sliding window embeds at a time.
            padding: Instants of context. Default: 200, as TS2Vec's authors forecast.
            field: The field of series. Default: the only one of the run.
            batch: Instants encoded at a time; changes speed and memory only.
            outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.
            logger: Receives progress, notes and the rows left out. Default: none.

        Returns:
            One vector per instant, not normalised; one per `stride` instants if the encoder merges them.

        Raises:
            UserError: No such field, an encoder without vectors of instants, or an argument out of range.
        """
        windows, logger = instants.Windows(window, length, padding), logger or NullLogger()
        if batch < 1:
            raise UserError(f"instants: batch={batch}; expected 1 or more.")
        name = instants.series_field(model := Model.load(self.folder), field)
        with opened(instants.at_full_length(model, name), data, outside, logger) as dataset:
            instants.note(model, dataset, name, logger)
            return instants.embed_instants(model, dataset, name, windows, batch=batch, progress=logger.progress)

    def caption(self, data: object, *, outside: bool = False, logger: Logger | None = None) -> list[dict[str, Any]]:
        """Writes the text of rows from their other fields, with the decoder that the task `captioning` trained.

        Args:
            data: The rows: a path or an object in memory, as for `kontrast.train`; they need no text.
            outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.
            logger: Receives progress and the rows left out. Default: none.

        Returns:
            {"id", "field", "caption"} for each row and field that it has.

        Raises:
            UserError: The run has no such task, no field of it is in the data, or no row can be read.
        """
        model = Model.load(self.folder)
        with opened(model, data, outside, logger or NullLogger()) as dataset:
            return captions.of_rows(model, dataset)

    def evaluate(self, data: object, *, outside: bool = False, logger: Logger | None = None) -> list[dict[str, Any]]:
        """Evaluates the run on other data.

        kNN and probe are fitted on the run's training rows. Warns of rows that the run was trained on, if over 1 %,
        and of classes without a training row: to the logger, or by `warnings` without one.

        Args:
            data: The test rows: a path or an object in memory, as for `kontrast.train`.
            outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.
            logger: Receives progress, notes and warnings. Default: none.

        Returns:
            One dict per score, as in `scores`, with the fingerprint of the rows (`data`) and how many of them the run
            was trained on (`trained_on`).

        Raises:
            UserError: No field of the run is in the data, or no row can be read.
        """
        return evaluate_on(self.folder, data, outside=outside, logger=logger)

    def anomalies(
        self,
        data: object,
        *,
        score: Score = "rows",
        train: object = None,
        labels: str | None = None,
        field: str | None = None,
        neighbours: int = NEIGHBOURS,
        window: Window = "whole",
        padding: int = PADDING,
        past: int = 0,
        share: float = SHARE,
        outside: bool = False,
        logger: Logger | None = None,
    ) -> AnomalyTable:
        """Scores how unlike training each row is, or each instant of series; no labels are needed.

        Args:
            data: The rows to score: a path or an object in memory, as for `kontrast.train`.
            score: "rows": mean distance of an embedding to the nearest training rows. "instants": that of the vector
                of an instant to the nearest training instants. "masked": distance of the vector of an instant to that
                of the same causal window with the instant hidden, as by TS2Vec's authors.
            train: The rows to compare with. Default: the run's training rows, read again for instants.
            labels: Column of `data` with 1 for known anomalies, per row or as a list per instant.
            field: The field to score. Default: the only field of series for instants; all fields for rows.
            neighbours: Nearest rows or instants. Default 5.
            window: What the encoder sees of an instant, as for `embed_instants`.
            padding: Instants of context of a window that slides. Default 200.
            past: With "masked": instants before, by whose mean the distance is divided (authors: 21). Default 0: none.
            share: Share of training scores above the threshold. Default .01.
            outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.
            logger: Receives progress, notes and the rows left out. Default: none.

        Returns:
            Scores, threshold and flags; `labels` where they are known.

        Raises:
            UserError: An argument out of range, or data, field, labels or encoder do not fit.
        """
        how = Scoring(score, neighbours, window, padding, past, share)
        asked = Request(data, train, labels, field, outside, logger or NullLogger())
        return score_anomalies(self.folder, asked, how)

    def score(self, data: object, *, outside: bool = False, logger: Logger | None = None) -> list[dict[str, Any]]:
        """Deprecated name of `evaluate`."""
        renamed.notice("Run.score", "Run.evaluate")
        return self.evaluate(data, outside=outside, logger=logger)

    def bank(self, name: str = "trained-test") -> EmbeddingTable:
        """Deprecated name of `embeddings`."""
        renamed.notice("Run.bank", "Run.embeddings")
        return self.embeddings(name)

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
        """Builds the search index of the run, or adds rows to it.

        Args:
            data: The rows to index. Default: the rows that the run was evaluated with.
            engine: Where the vectors are stored: lancedb, faiss or pgvector.
            settings: Settings of the engine.
            add: Whether to add to the existing index; rows with the same ids are replaced.
            outside: Whether cells may name files outside of the data's folder; such rows are left out otherwise.
            logger: Receives progress and notes. Default: none.

        Returns:
            The index; index.json in the run folder describes it.

        Raises:
            UserError: `add` without data or index, unreadable data, or another process writes to the run.
        """
        if add and data is None:
            raise UserError("index: nothing to add; name the data.")
        with lock_folder(self.path, "kontrast index"):
            if add:
                index = Index.open(self.path / "index", trust_code=self.trust_code)
                index.add(self.embed(data, outside=outside, logger=logger))
                return index
            bank = (
                joined(self.embeddings("trained-train"), self.embeddings("trained-test"))
                if data is None
                else self.embed(data, outside=outside, logger=logger)
            )
            if data is None and logger and (said := messages.indexed(run_json.scores(self.folder).get("rows"))):
                logger.fact("note", said)
            label = next((name for name, kind in self.experiment.source.fields.items() if kind == "label"), None)
            return indexing.build(bank, self.path / "index", engine=engine, settings=settings, label=label)

    def unindex(self, where: str, *, everything: bool = False) -> int:
        """Deletes the rows that match a filter from the index.

        Args:
            where: A filter over label and metadata, in SQL.
            everything: Whether the filter may match all rows.

        Returns:
            Number of records deleted.

        Raises:
            UserError: The filter is empty, or matches all rows without `everything`.
        """
        with lock_folder(self.path, "kontrast index --delete"):
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
        """Finds the k indexed rows nearest to a text (`query`) or to an example (`like`).

        Args:
            query: A text. Exactly one of `query` and `like` is needed.
            like: A picture, a series, ...: a path or a value.
            field: The field of the query. Default: the first text field for `query`, else the first that can read it.
            among: The field of the rows to find. Default: any, if the fields share a space.
            k: Number of hits.
            where: A filter over label and metadata, in SQL.

        Returns:
            The hits by falling cosine similarity.

        Raises:
            UserError: The query cannot be read, there is no index, or `among` is in another space.
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
        if among is not None and not model.learner.shared and among != name:
            raise UserError(f"the fields of this run do not share a space: '{name}' finds '{name}' only.")
        vector = model.embed_cells(name, [cell])[0]
        target = among or (None if model.learner.shared else name)
        return Index.open(self.path / "index", trust_code=self.trust_code).search(vector, k, field=target, where=where)

    def report(self) -> Path:
        """Writes report.html anew, as one self-contained file, and returns its path."""
        with fitting(str(self.path)):
            return write_report(report_data(self.folder), self.path / "report.html")

    def module(self, field: str | None = None) -> Embedder:
        """The trained encoder of a field as a torch module, for your own training loop.

        Args:
            field: The field. Default: the only one of the run.

        Raises:
            UserError: The run has several fields and none is named, or not this one.
        """
        model = Model.load(self.folder)
        if field is None and len(model.fields) > 1:
            raise UserError(f"this run has several fields; name one: {', '.join(model.fields)}.")
        name = field or model.fields[0]
        z = self.embeddings("trained-test").z
        return Embedder(model, name, z[name].shape[1] if name in z else 0)

    def plot(self, what: str = "map") -> Drawing:
        """A drawing for a notebook.

        Args:
            what: "map" for the held-out embeddings, else a number of metrics.jsonl over the steps: "loss", "rate",
                "spread", ...

        Raises:
            UserError: The run has no such number.
        """
        if what == "map":
            return map_drawing(self.embeddings())
        return curve_drawing(self.folder.moments(), what)

    def _repr_html_(self) -> str:
        with fitting(str(self.path)):
            return card(self.folder)
