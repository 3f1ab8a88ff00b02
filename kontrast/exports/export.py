"""The contract of an export, which writes a run for other libraries to read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.errors import Unreadable, UserError, did_you_mean
from kontrast.data.dataset.packing import reader
from kontrast.data.sources.source_rows import source_rows
from kontrast.data.tables.frame import ANYWHERE
from kontrast.data.tables.record import with_records
from kontrast.runs.model import Model
from kontrast.runs.run import Run


@dataclass(frozen=True)
class Subject:
    """A run to export, with its model and rows to check the result on.

    Attributes:
        run: The run.
        model: Its trained model.
        data: Rows to check the result on; None: the run's own data.
    """

    run: Run
    model: Model
    data: object = None

    def fields(self, named: str | None) -> list[str]:
        """The named field, or all fields for None. Raises UserError for an unknown field."""
        if named is not None and named not in self.model.modalities:
            raise UserError(f"this run has no field '{named}'{did_you_mean(named, self.model.modalities)}")
        return [named] if named else self.model.fields

    def rows(self, field: str, most: int) -> list[np.ndarray]:
        """Up to `most` packed rows of a field; empty if the run's data cannot be read."""
        data = self.run.experiment.source.data if self.data is None else self.data
        try:
            frame, _ = source_rows(data, self.model.experiment.source, cache=None, chosen={})
        except UserError:
            if self.data is not None:
                raise
            return []
        frame = with_records(frame, self.model.experiment.views)
        modality, packed = self.model.modalities[field], []
        if field not in frame.columns:
            return []
        if self.data is None and self.run.experiment.source.outside:
            frame = replace(frame, within=ANYWHERE)
        read = reader(frame, modality)
        for cell in frame.cells(field, np.unique(np.linspace(0, len(frame) - 1, 2 * most).astype(int))):
            try:
                packed += [modality.pack(read(cell))] if cell is not None else []
            except Unreadable:
                continue  # the run excluded this row too
        return packed[:most]


class Export(ABC):
    """Export target; constructor parameters are its settings.

    A run that the target cannot represent is refused with a UserError that says why.
    """

    ROOM = "exports"

    @abstractmethod
    def write(self, subject: Subject, folder: Path) -> Mapping[str, Any]:
        """Writes all files into an empty folder; returns facts about them to show, by name."""

    def sent(self, folder: Path) -> Mapping[str, Any]:
        """Handles the finished folder, such as uploading it; returns further facts."""
        return {}
