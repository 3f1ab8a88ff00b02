"""Other data, read with the columns and fitted modalities of a run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kontrast.core.errors import UserError
from kontrast.data.dataset.dataset import Dataset, prepare
from kontrast.data.schema.fields import infer
from kontrast.data.sources.source_rows import source_rows
from kontrast.data.tables.record import read_by, with_records
from kontrast.reporting.logger import Logger
from kontrast.runs.model import Model


@contextmanager
def opened(model: Model, data: object, outside: bool, logger: Logger) -> Iterator[Dataset]:
    """Reads data for a model; the dataset lasts as long as the context.

    Args:
        model: Its fields are read, by its modalities.
        data: A path or an object in memory, as for `kontrast.train`.
        outside: Whether cells may name files outside of the data's folder.
        logger: Receives progress and the rows left out.

    Raises:
        UserError: No field of the model is in the data, or no row can be read.
    """
    experiment = model.experiment
    with tempfile.TemporaryDirectory(prefix="kontrast-") as cache:
        frame, _ = source_rows(data, experiment.source, cache=Path(cache), chosen={})
        for remark in frame.remarks:
            if remark.level != "fact":
                logger.fact(remark.level, remark.words)
        frame = with_records(frame, experiment.views)
        known = {name: kind for name, kind in experiment.source.fields.items() if name in frame.columns}
        fields = {n: f for n, f in infer(frame, known, None).items() if n in known}
        there = {name: m for name, m in model.modalities.items() if name in fields}
        if not there:
            wanted = [*model.fields, *sorted(read_by(experiment.views))]
            raise UserError(
                f"{frame.name} has none of this run's fields ({', '.join(wanted[:40])}); its columns: "
                f"{', '.join(frame.columns)}."
            )
        source = replace(experiment.source, quarantine=1.0, outside=outside)
        dataset = prepare(
            frame,
            fields,
            there,
            source=source,
            seed=experiment.seed,
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
