"""A text model of the transformers library as a teacher."""

from typing import Literal

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.encoders.transformer import Transformer
from kontrast.modalities.text.text import Text
from kontrast.runs.teachers.teacher_model import TeacherModel


class Transformers(TeacherModel):
    """Pooled last layer of a pretrained text model, with its own tokenizer and length.

    Args:
        of: Folder or name on the hub.
        field: The field that is taught.
        modality: Name of its modality.
        pooling: Mean over the tokens, or the first one. Default: what the model says, else mean.

    Raises:
        UserError: A field without texts, or no model that can be read.
    """

    def __init__(
        self, *, of: str, field: str = "", modality: str = "text", pooling: Literal["mean", "cls"] | None = None
    ) -> None:
        if modality != "text":
            raise UserError(f"teacher 'transformers' reads texts; '{field}' is a field of {modality}.")
        asked = Transformer.wants({"model": of})
        self.modality = Text(tokenizer=asked["tokenizer"], length=asked.get("length"))
        self.modality.fit([])
        self.network = Transformer(model=of, train="frozen", pooling=pooling)
        self.network.gives_dense = False

    def __call__(self, x: Tensor) -> Tensor:
        """(B, D) pooled hidden states."""
        return self.network(x).pooled
