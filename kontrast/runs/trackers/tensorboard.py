"""TensorBoard: curves, experiment, facts and scores as event files in the run folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from kontrast.core.errors import needs
from kontrast.core.factory import Range
from kontrast.evaluation.look import Look
from kontrast.reporting.logger import Logger
from kontrast.runs.tracker_values import of_experiment, of_look, of_moment, of_scores
from kontrast.training.loop import StepRecord

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Tensorboard(Logger):
    """Writes event files to RUN/tensorboard, shown by `tensorboard --logdir runs`.

    A resumed run continues the same curves; points after its checkpoint are purged.

    Args:
        every: Steps between points of a curve; steps with a health check are always recorded.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self, *, every: Annotated[int, Range(1)] = 10) -> None:
        needs("tensorboard", "track")
        self.every = max(every, 1)
        self.folder: Path | None = None
        self.writer: SummaryWriter | None = None
        self.facts: list[str] = []
        self.step = 0

    def begun(self, folder: Path) -> None:
        """Notes the run folder; a run refused before its first step writes nothing."""
        self.folder = folder / "tensorboard"

    def fact(self, name: str, words: str) -> None:
        """Keeps a fact for the text page."""
        self.facts.append(f"**{name}** {words}".replace("\n", "  \n"))

    def moment(self, moment: StepRecord) -> None:
        """Records every `every`-th step, the first, the last, and those with a health check."""
        self.step = moment.step
        if self.writer is None:
            self.writer = self._opened(moment.step)
        if moment.health or moment.step % self.every == 0 or moment.step in (1, moment.total):
            for name, value in of_moment(moment).items():
                self.writer.add_scalar(name, value, moment.step)

    def look(self, look: Look) -> None:
        """Records the numbers of the validation rows."""
        self.writer = self.writer or self._opened(look.step)
        for name, value in of_look(look).items():
            self.writer.add_scalar(name, value, look.step)

    def ended(self, folder: Path) -> None:
        """Records scores, experiment and facts, and closes the file."""
        if self.writer is None:
            return
        for name, value in of_scores(folder).items():
            self.writer.add_scalar(name, value, self.step)
        settings = "\n".join(f"    {name}: {value}" for name, value in of_experiment(folder).items())
        self.writer.add_text("experiment", settings, self.step)
        self.writer.add_text("facts", "\n\n".join(self.facts), self.step)
        self.writer.close()
        self.writer = None

    def _opened(self, step: int) -> "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        assert self.folder is not None
        again = self.folder.is_dir()
        return SummaryWriter(str(self.folder), purge_step=step if again else None)
