"""What a task may know of the encoders when it is built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kontrast.core import registry
from kontrast.core.errors import UserError
from kontrast.data.modality import Modality


@dataclass(frozen=True)
class EncoderInfo:
    """Widths and facts of the encoders of a task's fields. Every mapping begins with the field.

    Attributes:
        widths: Width of the pooled features; its keys are the fields of the task, in their order.
        dense: Width of the dense features; None if the encoder gives none.
        networks: Key of the encoder that reads the field; fields may share one.
        modalities: Name of the field's modality.
        facts: What its modality knows: channels and size of images, vocabulary of texts, length of series.
        causal: Whether no dense vector sees what follows its instant; not if nothing is said.
    """

    widths: Mapping[str, int]
    dense: Mapping[str, int | None] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    modalities: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    causal: Mapping[str, bool] = field(default_factory=dict)

    @property
    def fields(self) -> list[str]:
        """The fields of the task."""
        return list(self.widths)

    def network(self, field: str) -> str:
        """Key of the encoder of a field; the field itself if none is named."""
        return self.networks.get(field, field)

    def modality(self, field: str) -> type[Modality] | None:
        """The modality of a field; None if it is not known."""
        name = self.modalities.get(field, "")
        return registry.load("modalities", name) if registry.fits("modalities", name) else None

    def expect_axes(self, field: str, axes: str, task: str, hint: str = "") -> None:
        """Refuses a field of another kind of data; one whose kind is not known is taken.

        Args:
            field: The field of a task.
            axes: Axes of its views (`Modality.axes`).
            task: What the task does with which data, as the message begins: "task 'tnc' contrasts windows of series".
            hint: What the user can do instead, as the message ends.

        Raises:
            UserError: Views of the field have other axes.
        """
        modality = self.modality(field)
        if modality and modality.axes != axes:
            raise UserError(f"{task}; found '{field}', a field of {self.modalities[field]}.{hint}")

    def only(self, fields: list[str]) -> "EncoderInfo":
        """The same for some fields alone, in this order."""
        return EncoderInfo(
            **{name: {field: known[field] for field in fields if field in known} for name, known in vars(self).items()}
        )
