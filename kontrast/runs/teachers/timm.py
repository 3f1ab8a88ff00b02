"""An image model of the timm library as a teacher."""

from typing import Annotated

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.encoders.timm import Timm as Network
from kontrast.modalities.image.image import Image
from kontrast.runs.teachers.teacher_model import TeacherModel


class Timm(TeacherModel):
    """Pooled features of a pretrained image model, at its own size and with its own mean and deviation.

    Args:
        of: Name as timm lists it (`resnet18`, `vit_base_patch16_224.mae`).
        field: The field that is taught.
        modality: Name of its modality.
        weights: Local .safetensors file in place of the hub's, for machines without a network.
        size: Side of the images in pixels; None: the model's own. Smaller ones cost less.
        classifier: Whether to give the probabilities of the model's own classes, for tasks that want classes.

    Raises:
        UserError: A field without images, an unknown model, or weights that cannot be read.
    """

    def __init__(
        self,
        *,
        of: str,
        field: str = "",
        modality: str = "image",
        weights: str | None = None,
        size: Annotated[int, Range(8, 4096)] | None = None,
        classifier: bool = False,
    ) -> None:
        if modality != "image":
            raise UserError(f"teacher 'timm' sees images; '{field}' is a field of {modality}.")
        settings = {"model": of, "pretrained": weights is None, "weights": weights}
        asked = Network.wants(settings)
        self.classifies = classifier
        self.modality = Image(**{**asked, "size": size or asked["size"]}, strength="none")
        channels, side = self.modality.channels, self.modality.size
        self.network = Network(
            model=of,
            channels=channels,
            size=side,
            pretrained=weights is None,
            weights=weights,
            freeze=True,
            classifier=classifier,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """(B, D) pooled features, or (B, C) class probabilities."""
        found = self.network(x).pooled
        return found.softmax(1) if self.classifies else found
