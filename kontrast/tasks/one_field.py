"""Shared part of tasks on a single field: views, head and pairs."""

from abc import ABC
from collections.abc import Mapping

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.data.view import Batch, Role, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.head import Head
from kontrast.tasks.parts import where_present
from kontrast.tasks.task import Output, Task


class OneField(Task, ABC):
    """Views of one field through its encoder and a head; subclasses add the loss. The encoder's output is served.

    Args:
        encoders: Facts of the encoder of the one field.
        views: Views of each sample.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        width: Width of the compared embeddings.
    """

    most = 1
    role: Role = "global"
    """Role of the views."""

    def __init__(self, encoders: EncoderInfo, *, views: int, hidden: int, width: int) -> None:
        super().__init__()
        if views < 1:
            raise UserError(f"views={views}; expected 1 or more views of each sample.")
        (self.field,) = encoders.fields
        self.number = views
        wide = encoders.widths[self.field]
        self.head = Head(in_width=wide, hidden=hidden or None, width=width, layers=2 if hidden else 1)

    def views(self) -> dict[str, ViewSpec]:
        """The field, once per view."""
        return {f"{self.field}.{n}": ViewSpec(self.field, self.role) for n in range(1, self.number + 1)}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Embeddings of each view, from encoder and head; zeros for rows that lack the field."""
        here = batch.keys[f"has {self.field}"]
        found = {}
        for name, features in encoders(batch, self.views()).items():
            z = where_present(self.head, features.pooled, here, self.head.width, together=encoders.together)
            found[name] = Output(z, name)
        return found

    def stacked(self, out: Mapping[str, Embeddings]) -> Embeddings:
        """All views of the rows that have the field, one view after another."""
        return Embeddings.stack(*(self.having(rows) for rows in out.values()))

    def having(self, rows: Embeddings) -> Embeddings:
        """The rows that have the field."""
        here = rows.keys[f"has {self.field}"]
        return rows if bool(here.all()) else rows[here]

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The first two views of each sample; with one view, each row with itself."""
        one, two = (*out.values(), *out.values())[:2]
        return [(self.having(one), self.having(two))]
