"""Shared part of tasks that predict something of a row from one field."""

from abc import ABC
from collections.abc import Mapping

from kontrast.core.embeddings import Embeddings
from kontrast.tasks.one_field import OneField


class Prediction(OneField, ABC):
    """A head that predicts something of each view, such as a class or a number; subclasses add the loss."""

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """None: what the head predicts are no embeddings."""
        return []
