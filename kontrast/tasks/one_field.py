"""Shared part of tasks on a single field: views, head and pairs."""

from abc import ABC
from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.data.view import Batch, Role, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
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
        layers: Linear layers of the head; None: 2, or 1 if it is linear.
        norm: Normalisation after each hidden layer of the head.
        last_norm: Whether the head's output is normalised too.
    """

    max_fields = 1
    role: Role = "global"
    """Role of the views."""

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        views: int,
        hidden: int,
        width: int,
        layers: int | None = None,
        norm: Literal["batch", "layer", "none"] = "batch",
        last_norm: bool = False,
    ) -> None:
        super().__init__()
        if views < 1:
            raise UserError(f"views={views}; expected 1 or more views of each sample.")
        (self.field,) = encoders.fields
        self.number = views
        self.head = Head(
            in_width=encoders.widths[self.field],
            hidden=hidden or None,
            width=width,
            layers=layers or (2 if hidden else 1),
            norm=norm,
            last_norm=last_norm,
        )

    def views(self) -> dict[str, ViewSpec]:
        """The field, once per view."""
        return {f"{self.field}.{n}": ViewSpec(self.field, self.role) for n in range(1, self.number + 1)}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Embeddings of each view, from encoder and head; zeros for rows that lack the field."""
        return self.through(self.head, encoders(batch, self.views()), batch, together=encoders.together)

    def through(
        self,
        head: Callable[[Tensor], Tensor],
        seen: Mapping[str, Features],
        batch: Batch,
        *,
        together: bool,
        width: int | None = None,
    ) -> dict[str, Output]:
        """What a head makes of each view, zeros for rows that lack the field.

        Args:
            head: From features (n, D) to embeddings (n, width).
            seen: View -> its features.
            batch: Batch that the views come from.
            together: Whether other ranks call the head in step.
            width: Width of what the head returns; None: that of the task's own head.
        """
        here, width = batch.keys[f"has {self.field}"], width or self.head.width
        return {
            name: Output(where_present(head, features.pooled, here, width, together=together), name)
            for name, features in seen.items()
        }

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
