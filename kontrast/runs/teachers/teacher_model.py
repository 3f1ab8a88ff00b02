"""Contract of a frozen model that teaches: how it reads cells, and what it makes of them."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kontrast.core import factory, registry
from kontrast.core.choice import choice
from kontrast.core.errors import UserError, did_you_mean
from kontrast.data.modality import Modality
from kontrast.tasks.taught import spelled


class TeacherModel(ABC):
    """A frozen model with its own preprocessing: size, colours, vocabulary.

    The constructor's `of`, a path or a name, is what the user writes after the kind, as in `timm:resnet18`. It may take
    the facts `field` and `modality`, the names of the field that is taught and of its modality, and `trusts`, whether
    code that a run names may be loaded.

    Attributes:
        modality: Fitted; it reads the cells, and preprocesses what the network takes.
        network: The frozen network, in eval mode.
        classifies: Whether it gives class probabilities in place of embeddings.
    """

    ROOM = "teachers"

    modality: Modality
    network: nn.Module
    classifies: bool = False

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Embeddings (B, D), or class probabilities (B, C), of a preprocessed batch."""


def teacher_of(written: str | dict[str, Any], field: str, modality: str, *, trusts: bool) -> TeacherModel:
    """The teacher that a setting names.

    Args:
        written: A run folder, KIND:NAME, or {"name": KIND, settings}.
        field: The field that it teaches.
        modality: Name of its modality.
        trusts: Whether code that the teacher's run names may be loaded.

    Raises:
        UserError: There is no such kind, folder or model, or it takes no such field.
    """
    if isinstance(written, str):
        kind, colon, name = written.partition(":")
        if not (colon and kind in registry.kinds("teachers")):
            kind, name = _guessed(written), written
        written = {"name": kind, "of": name}
    chosen = choice(written, "teacher")
    given = {"field": field, "modality": modality, "trusts": trusts}
    made: TeacherModel = factory.build("teachers", chosen.name, chosen.settings, given=given)
    made.network.requires_grad_(False).eval()
    return made


def _guessed(path: str) -> str:
    """Kind of the teacher in a folder."""
    if (Path(path) / "experiment.json").is_file():
        return "run"
    if (Path(path) / "config.json").is_file():
        return "transformers"
    known = registry.kinds("teachers")
    kind, colon, _ = path.partition(":")
    found = f"'{spelled(path)}' is no run folder" if not Path(path).is_dir() else f"'{path}' holds no run and no model"
    near = did_you_mean(kind, known) if colon else ""
    raise UserError(
        f"teacher: {found}{near or '.'} Expected the folder of a run, or {', '.join(f'{name}:NAME' for name in known)}."
    )
