"""Shared part of methods that compare samples with learned class centres."""

from abc import ABC
from collections.abc import Mapping

from torch import Tensor

from kontrast.core.embeddings import Embeddings
from kontrast.layers.proxies import Proxies
from kontrast.layers.towers import Towers
from kontrast.tasks.one_field import OneField


class Centred(OneField, ABC):
    """Compares embeddings with a learned centre per class; subclasses add the loss.

    Needs labels. The compared embedding itself is served, since training shapes exactly this one.

    Args:
        towers: The encoder of the one field.
        classes: Number of classes.
        views: Views of each sample.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        width: Width of the embeddings and centres.
    """

    needs = frozenset({"label"})

    def __init__(self, towers: Towers, *, classes: int, views: int, hidden: int, width: int) -> None:
        super().__init__(towers, views=views, hidden=hidden, width=width)
        self.centres = Proxies(classes=classes, width=width)

    def embed(self, field: str, x: Tensor) -> Tensor:
        """The embedding that is compared with the centres."""
        return self.head(self.towers(field, x))

    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Each sample with a known class, and its centre."""
        ours = with_class(next(iter(rows.values())))
        return [(ours, self.centres().detach()[ours.keys["label"]])]


def with_class(rows: Embeddings) -> Embeddings:
    """The rows whose class is known."""
    return rows[rows.keys["label"] >= 0]
