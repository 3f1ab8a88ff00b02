"""The contract of an export: a run becomes a folder of files that others read. One target a file, here."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.errors import Unreadable, UserError, did_you_mean
from kontrast.data.dataset.packing import reader
from kontrast.data.sources.open_source import open_frame
from kontrast.data.tables.frame import ANYWHERE
from kontrast.runs.model import Model
from kontrast.runs.run import Run


@dataclass(frozen=True)
class Subject:
    """What is exported: a run and its model. data: rows to check the result on; None: those the run was trained on."""

    run: Run
    model: Model
    data: object = None

    def fields(self, named: str | None) -> list[str]:
        """That field, or all."""
        if named is not None and named not in self.model.modalities:
            raise UserError(f"this run has no field '{named}'{did_you_mean(named, self.model.modalities)}")
        return [named] if named else self.model.fields

    def rows(self, field: str, most: int) -> list[np.ndarray]:
        """Up to `most` real rows of a field, as its modality packs them; none where the run's data is not at hand."""
        data = self.run.experiment.source.data if self.data is None else self.data
        try:
            frame = open_frame(data, cache=None)
        except UserError:
            if self.data is not None:
                raise
            return []
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
                continue  # the run set it aside too
        return packed[:most]


class Export(ABC):
    """Constructor parameters are settings. What a target cannot hold is refused with a UserError that says why."""

    ROOM = "exports"

    @abstractmethod
    def write(self, subject: Subject, folder: Path) -> Mapping[str, Any]:
        """Write everything into an empty folder; returns what to know of it, a few words each."""

    def sent(self, folder: Path) -> Mapping[str, Any]:
        """What happens once the folder has its name; returns more to know."""
        return {}
