"""A run of kontrast as a teacher."""

from pathlib import Path

from torch import Tensor

from kontrast.core.errors import UserError, did_you_mean
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from kontrast.runs.teachers.teacher_model import TeacherModel


class Run(TeacherModel):
    """The served embedding of a finished run; it reads cells as the run did.

    Args:
        of: Folder of the run.
        field: The field that is taught.
        modality: Name of its modality.
        its: Field of the run. Default: the field of the same name.
        trusts: Whether code that the run names may be loaded.

    Raises:
        UserError: No finished run, no such field in it, or a field of another modality.
    """

    def __init__(
        self, *, of: str, field: str = "", modality: str = "", its: str | None = None, trusts: bool = False
    ) -> None:
        folder = Folder.existing(Path(of), trusts)
        if not (folder.path / "encoder" / "modalities.json").is_file():
            raise UserError(f"teacher: the run {of} has no trained encoder yet; {folder.go_on}.")
        model = Model.load(folder)
        self._field = its or field
        if self._field not in model.modalities:
            tip = did_you_mean(self._field, model.modalities)
            raise UserError(
                f"teacher: the run {of} has no field '{self._field}'{tip} Name its field: "
                f'teacher={{"name": "run", "of": "{of}", "its": FIELD}}.'
            )
        found = model.experiment.views[self._field].name
        if modality and found != modality:
            raise UserError(
                f"teacher: '{self._field}' is a field of {found} in the run {of}, and '{field}' here of {modality}."
            )
        self.modality, self.network = model.modalities[self._field], model.learner

    def __call__(self, x: Tensor) -> Tensor:
        """(B, D) served embeddings, not normalised."""
        return self.network.embed(self._field, x)  # pyright: ignore[reportCallIssue]
