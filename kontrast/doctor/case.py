"""A Case: all that examinations look at, read once. What several of them need is computed when first asked for."""

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
from kontrast.runs.model import Model, facts_of, method_of

SHOWN = 5  # rows named as evidence


@dataclass(frozen=True)
class Case:
    """Opened rows, what their columns are taken for, the prepared dataset, and the experiment that would be run.

    recipe: its name, and why it was chosen. out: a folder for pictures, None for none.
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
        """(N,) the row in the source of each usable row."""
        aside = {row for row, *_ in self.data.quarantined}
        return np.array([row for row in range(len(self.frame)) if row not in aside], dtype=np.int64)

    @cached_property
    def model(self) -> Model:
        """The model that the experiment would begin with."""
        facts = facts_of(self.data)
        return Model(self.experiment, self.modalities, method_of(self.experiment, self.modalities, facts), facts=facts)

    @property
    def own_split(self) -> bool:
        """Whether the data itself says which rows are held out."""
        return any(field.kind == "split" for field in self.fields.values())

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """Text field -> each usable row's texts, whole, one under the other; "" where it has none."""
        return {
            name: [_joined(cell) for cell in self.frame.cells(name, self.kept)]
            for name, field in self.fields.items()
            if field.kind == "text" and name in self.modalities
        }

    @cached_property
    def content(self) -> dict[str, np.ndarray]:
        """Field -> (N,) int64, equal where two rows hold the same; negative and different without the field.

        As `Dataset.content`, but whole texts, where that knows the tokens that the encoder sees.
        """
        found = dict(self.data.content)
        for name, texts in self.texts.items():
            codes = fingerprint.numbers(" ".join(text.lower().split()) for text in texts)
            found[name] = np.where(found[name] < 0, found[name], codes)
        return found

    @cached_property
    def near(self) -> dict[str, Pairs]:
        """Field -> rows that are near copies of one another, exact ones left out."""
        return {
            name: within(m, self.data.stores[name], self.content[name], self.texts.get(name))
            for name, m in self.modalities.items()
        }

    @cached_property
    def crossed(self) -> dict[tuple[str, str], Pairs]:
        """(one field, another of the same kind) -> pairs of a row's one field and a row's other, exact and near."""
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
        """Ids of a few of these rows."""
        return [str(self.data.ids[row]) for row in rows[:SHOWN]]

    def paired(self, pairs: Any) -> list[str]:
        """Ids of a few pairs of rows, as evidence."""
        return [f"{self.data.ids[i]} ~ {self.data.ids[j]}" for i, j in pairs[:SHOWN]]


def _joined(cell: Any) -> str:
    cells = cell if isinstance(cell, list) else cell.tolist() if isinstance(cell, np.ndarray) else [cell]
    return "\n".join(str(one) for one in cells if one is not None and str(one).strip())
