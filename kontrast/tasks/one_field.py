"""Shared part of methods on a single field: views, encoder, head and served output."""

from abc import ABC
from collections.abc import Mapping

from torch import Tensor

from kontrast.core.embeddings import Embeddings, Keys
from kontrast.core.errors import UserError
from kontrast.layers.head import Head
from kontrast.layers.towers import Towers
from kontrast.tasks.task import Task


class OneField(Task, ABC):
    """Views of one field through an encoder and a head; subclasses add the loss.

    Args:
        towers: The encoder of the one field.
        views: Views of each sample.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        width: Width of the compared embeddings.
    """

    most = 1

    def __init__(self, towers: Towers, *, views: int, hidden: int, width: int) -> None:
        super().__init__()
        if views < 1:
            raise UserError(f"views={views}; expected 1 or more views of each sample.")
        (self.field,) = towers.tower_of
        self.towers, self.views = towers, views
        wide = towers.width(self.field)
        self.head = Head(in_width=wide, hidden=hidden or None, width=width, layers=2 if hidden else 1)

    def draws(self) -> dict[str, str]:
        """The field, once per view."""
        return {f"{self.field}.{n}": self.field for n in range(1, self.views + 1)}

    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Embeddings of each view, from encoder and head."""
        return {name: self.head(self.towers(self.field, x)) for name, x in views.items()}

    def embed(self, field: str, x: Tensor) -> Tensor:
        """The encoder's output, which usually transfers better than the head's."""
        return self.towers(field, x)

    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The first two views of each sample; with one view, each row with itself."""
        one, two = (*rows.values(), *rows.values())[:2]
        return [(one, two)]
