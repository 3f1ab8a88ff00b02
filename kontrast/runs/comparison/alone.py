"""Each task of a run trained alone, with the rows, steps and seeds of the run of all tasks together."""

from dataclasses import replace
from pathlib import Path

from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment
from kontrast.runs.comparison.ablation import Ablation, finished
from kontrast.runs.comparison.replay import repeatable
from kontrast.runs.comparison.swap import Arm
from kontrast.runs.folder.folder import TEACHERS, Folder
from kontrast.runs.run import Run

FOLDER, TOGETHER, TASK = "alone", "together", "task"


def trainings(run: Run, seeds: int, out: Path | None = None) -> Ablation:
    """The trainings of all tasks together and of each alone; the run itself is the first of them.

    Args:
        run: A finished run of several tasks.
        seeds: Number of seeds, from that of the run on.
        out: Folder of the runs. Default: `alone` in the run folder.

    Raises:
        UserError: The run is not finished, or has one task.
    """
    experiment = run.experiment
    if len(experiment.tasks) < 2:
        (task,) = experiment.tasks
        raise UserError(
            f"{run.path} has one task, {task} ({experiment.names}); expected several, to train each of them alone."
        )
    if not finished(run.path):
        raise UserError(f"{run.path} was never finished; {run.folder.go_on}. Only a finished run can be compared.")
    together = Arm(TOGETHER, experiment.names)
    alone = [Arm(f"{task} alone", one.task.name, {TASK: task}) for task, one in experiment.tasks.items()]
    begun = {"run": run.path.resolve().name, "steps": _repeated(run).plan.steps}
    first = experiment.seed
    given = {f"{together.slug}/seed-{first}": run.path}
    return Ablation(out or run.path / FOLDER, [together, *alone], range(first, first + seeds), begun, given)


def begin(run: Run, arm: Arm, seed: int, path: Path, command: str) -> Folder:
    """Creates the folder of one of the trainings, in which a resume trains from the first step.

    Rows, split, batch size, number format and number of steps are those of the run. A task alone has weight 1, since
    its weight only compares it with the others.

    Args:
        run: The run of all tasks together.
        arm: All tasks together, or one of them.
        seed: Seed of the training.
        path: The new folder.
        command: The command that is recorded.
    """
    experiment = _repeated(run)
    if TASK in arm.settings:
        task = str(arm.settings[TASK])
        only = {task: replace(experiment.tasks[task], weight=1.0)}
        experiment = replace(experiment, tasks=only, serve="", aggregator=Choice("weighted"))
    folder = Folder.fresh(path, "")
    recorded = run.folder.read_json("environment.json")
    folder.write_json("data.json", run.folder.read_json("data.json"))
    if (run.path / TEACHERS).is_file():
        folder.write_json(TEACHERS, run.folder.read_json(TEACHERS))
    folder.write_json("environment.json", {**recorded, "command": command})
    folder.write("experiment.json", replace(experiment, seed=seed).to_json())  # last: with it the run can be resumed
    return folder


def _repeated(run: Run) -> Experiment:
    """The run's experiment with its number of steps, and the seed by which it split the rows."""
    experiment, _ = repeatable(run)
    plan, source = experiment.plan, experiment.source
    moments = run.folder.moments()
    steps = plan.steps or (moments[0]["total"] if moments else None)
    return replace(
        experiment,
        plan=replace(plan, steps=steps, epochs=None, minutes=None),
        source=replace(source, split_seed=experiment.split_seed),
    )
