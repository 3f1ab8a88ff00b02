"""The input of examinations: the data, read once, with shared results computed on first use."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.experiment import Experiment
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.modality import Modality
from kontrast.data.schema import fingerprint
from kontrast.data.schema.fields import Field
from kontrast.data.tables.frame import Frame
from kontrast.doctor.copies import Pairs, across, within
from kontrast.runs.build import facts_of, learner_of
from kontrast.runs.model import Model

SHOWN = 5  # rows named as evidence


@dataclass(frozen=True)
class Case:
    """The data under examination and the experiment that training would run.

    Attributes:
        frame: Rows as opened from the source.
        fields: What each column is taken for.
        data: The prepared dataset of usable rows.
        modalities: Fitted modality of each field.
        experiment: The experiment that would run.
        recipe: Name of the chosen recipe, and the reason.
        out: Folder for pictures; None: no pictures.
    """

    frame: Frame
    fields: Mapping[str, Field]
    data: Dataset
    modalities: Mapping[str, Modality]
    experiment: Experiment
    recipe: Mapping[str, str]
    out: Path | None

    @cached_property
    def kept(self) -> np.ndarray:
        """Row number in the source of each usable row, (N,)."""
        return self.data.source_rows(len(self.frame))

    @cached_property
    def model(self) -> Model:
        """The untrained model that the experiment would start from."""
        facts = facts_of(self.data)
        return Model(self.experiment, self.modalities, learner_of(self.experiment, self.modalities, facts), facts=facts)

    @property
    def own_split(self) -> bool:
        """Whether a column of the data defines the split."""
        return any(field.kind == "split" for field in self.fields.values())

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """Full texts of usable rows by field, joined by newlines; "" if missing."""
        return {
            name: [_joined(cell) for cell in self.frame.cells(name, self.kept)]
            for name, modality in self.modalities.items()
            if modality.typed
        }

    @cached_property
    def content(self) -> dict[str, np.ndarray]:
        """Content codes by field, (N,) int64, equal for equal content.

        A row without the field has a negative code of its own.
        Unlike `Dataset.content`, which compares the tokens that the encoder sees, this compares whole texts.
        """
        found = dict(self.data.content)
        for name, texts in self.texts.items():
            codes = fingerprint.numbers(" ".join(text.lower().split()) for text in texts)
            found[name] = np.where(found[name] < 0, found[name], codes)
        return found

    @cached_property
    def near(self) -> dict[str, Pairs]:
        """Near-duplicate rows by field, without exact duplicates."""
        return {
            name: within(m, self.data.stores[name], self.content[name], self.texts.get(name))
            for name, m in self.modalities.items()
        }

    @cached_property
    def crossed(self) -> dict[tuple[str, str], Pairs]:
        """Exact and near duplicates between two fields of the same kind, by both names."""
        found = {}
        names = list(self.modalities)
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                if self.fields[one].kind == self.fields[other].kind:
                    found[one, other] = across(
                        [self.modalities[one], self.modalities[other]],
                        [self.data.stores[one], self.data.stores[other]],
                        [self.content[one], self.content[other]],
                        [self.texts.get(one), self.texts.get(other)],
                    )
        return found

    def named(self, rows: Any) -> list[str]:
        """Ids of the first few rows, as evidence."""
        return [str(self.data.ids[row]) for row in rows[:SHOWN]]

    def paired(self, pairs: Any) -> list[str]:
        """Ids of the first few pairs of rows, as evidence."""
        return [f"{self.data.ids[i]} ~ {self.data.ids[j]}" for i, j in pairs[:SHOWN]]


def _joined(cell: Any) -> str:
    cells = cell if isinstance(cell, list) else cell.tolist() if isinstance(cell, np.ndarray) else [cell]
    return "\n".join(str(one) for one in cells if one is not None and str(one).strip())
