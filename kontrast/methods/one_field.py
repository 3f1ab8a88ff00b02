"""What methods of a single field share: views of it, an encoder and a head, and what is served."""

from abc import ABC
from collections.abc import Mapping

from torch import Tensor

from kontrast.core.embeddings import Embeddings, Keys
from kontrast.core.errors import UserError
from kontrast.layers.head import Head
from kontrast.layers.towers import Towers
from kontrast.methods.method import Method


class OneField(Method, ABC):
    """Views of one field through one encoder and one head; a method adds `compare`.

    Args:
        towers: The encoder of the one field.
        views: Views of each sample.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        width: Width of the embeddings that are compared.
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
        """All views through encoder and head."""
        return {name: self.head(self.towers(self.field, x)) for name, x in views.items()}

    def embed(self, field: str, x: Tensor) -> Tensor:
        """The encoder's output: what is learned below a head carries over better than what comes out of it."""
        return self.towers(field, x)

    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The first two views of each sample; of one view, each row with itself."""
        one, two = (*rows.values(), *rows.values())[:2]
        return [(one, two)]
