"""Use of validation rows while a run trains: to monitor it, to keep the best weights, and to stop early."""

from dataclasses import dataclass

from kontrast.core.number_format import many, share
from kontrast.data.dataset.dataset import Dataset
from kontrast.reporting.logger import Logger
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from kontrast.runs.pipeline.best_weights import Keeper
from kontrast.runs.pipeline.monitor import Monitor
from kontrast.training.learner import Learner
from kontrast.training.loop import TrainState


@dataclass
class Validation:
    """What a run does with its validation rows after each step; every process calls each method.

    Attributes:
        keeper: Evaluates at eleven fixed steps, to keep the best weights or to stop; None if neither was asked for.
        monitor: Evaluates as often as its share of the time allows; None without validation rows.
        logger: Receives what they find.
        patience: Evaluations of the keeper without a better one after which training ends; None never ends it.
        early: Why training ended early, as a clause; "" if it did not.
    """

    keeper: Keeper | None
    monitor: Monitor | None
    logger: Logger
    patience: int | None
    early: str = ""

    @staticmethod
    def begun(folder: Folder, model: Model, data: Dataset, course: TrainState, logger: Logger) -> "Validation":
        """Continues or begins at the step of `course`, and evaluates the start.

        Raises:
            UserError: The plan chooses or stops by validation rows, and there are fewer than two.
        """
        plan = model.experiment.plan
        chosen = plan.keep == "best-by-validation" or plan.patience is not None
        keeper = Keeper.begun(folder, model, data, course.step) if chosen else None
        made = Validation(keeper, Monitor.begun(folder, model, data, course.step), logger, plan.patience)
        if made.monitor:
            rows = many(len(made.monitor.rows), "validation row")
            logger.fact("validation", f"{rows} evaluated while it trains, in at most {share(plan.monitor)} of the time")
        if plan.patience is not None:
            logger.fact("patience", f"ends after {many(plan.patience, 'tenth')} of the run without a better validation")
        if keeper and not keeper.looks:
            keeper.look(course)
        made._monitored(course)
        return made

    def after_step(self, course: TrainState) -> tuple[bool, bool]:
        """Evaluates what is due.

        Returns:
            Whether the weights are the best so far and kept, and whether training ends here.
        """
        better = ended = False
        if self.keeper and self.keeper.due(course.step, course.total):
            better = self.keeper.look(course) and self.keeper.keeps
            waited = self.keeper.waited
            ended = course.fleet.any(course.fleet.first and waited >= (self.patience or waited + 1))[0]
            if ended and course.step < course.total:
                self.early = (
                    f"stopped early at step {course.step:,} of {course.total:,}, after {many(waited, 'evaluation')} of "
                    "the validation rows without a better one"
                )
                self.logger.fact("patience", self.early)
                course.total = course.step
        self._monitored(course)
        return better, ended

    def tidy(self) -> None:
        """Removes all kept weights but the best; call it after a checkpoint."""
        if self.keeper and self.keeper.keeps:
            self.keeper.tidy()

    def end(self, learner: Learner, course: TrainState) -> str:
        """Loads the weights that are kept, and says which they are and how validation went.

        Returns:
            Which weights were kept or why training ended early, as a clause; "" for the last ones of a whole run.
        """
        if self.monitor and self.monitor.looks:
            self.logger.fact("validation", self.monitor.words(course.seconds))
        kept = ""
        if self.keeper and self.keeper.keeps:
            self.keeper.restore(learner, course.fleet)
            kept = self.keeper.words(course.step)
        return "; ".join(filter(None, (self.early, kept)))

    def _monitored(self, course: TrainState) -> None:
        first = course.fleet.first and self.monitor is not None
        due = first and self.monitor is not None and self.monitor.due(course.step, course.total, course.seconds)
        if self.monitor is None or not course.fleet.any(due)[0]:  # clocks differ: the first process decides
            return
        self.logger.look(self.monitor.look(course.trained(), course.step, course.seconds, course.fleet.ranks))
