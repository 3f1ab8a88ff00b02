"""Training of a run in its folder: begins or resumes, records each step, handles interruption."""

import copy
import json
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from kontrast.core import containers, factory
from kontrast.core.errors import Interrupted, UserError
from kontrast.core.experiment import Plan
from kontrast.core.ranks import Ranks
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.reader import Reader
from kontrast.data.samplers.sampler import Sampler
from kontrast.encoders.precision_mode import PrecisionMode
from kontrast.layers.rank_norm import RankNorm
from kontrast.reporting.logger import Logger
from kontrast.runs.folder.folder import Checkpoint, Folder
from kontrast.runs.messages import compared, length
from kontrast.runs.model import Model
from kontrast.runs.pipeline.frozen_features import decided, frozen, known_features
from kontrast.runs.pipeline.interruption import signals
from kontrast.runs.pipeline.starvation import watching
from kontrast.runs.pipeline.step_rows import first_views, orders_of, steps_named
from kontrast.runs.pipeline.validation import Validation
from kontrast.training import pacing
from kontrast.training.budget import Budget
from kontrast.training.determinism import unrepeatable
from kontrast.training.health import Health, collapse, likely_causes, too_short
from kontrast.training.launcher import Launcher
from kontrast.training.learner import Batches, Learner
from kontrast.training.loop import NotFinite, StepRecord, TrainState, pretrain
from kontrast.training.memory import forecast
from kontrast.training.memory_pages import kept_pages
from kontrast.training.optimiser import Optimiser, groups_of
from kontrast.training.precision import choose, forced, pinned
from kontrast.training.step import step
from kontrast.training.task_gradients import refuse, words
from kontrast.training.weight_average import WeightAverage

PATIENCE = 3  # consecutive health checks that must show a collapse: a single odd batch is none


@dataclass(frozen=True)
class TrainResult:
    """How training went.

    Attributes:
        health: Spread and rank of the embeddings in the last batch that was checked.
        collapsed: How the embeddings have collapsed, as a clause; "" if they have not.
        short: Why the run was too short for a verdict, or "".
        causes: Likely causes if the run has stalled or collapsed, the likeliest first.
        kept: Which state was kept, as a clause; "" for the last one.
        steps: Number of steps.
        seconds: Seconds of training, including those before an interruption.
        twins: Number of pairs of duplicates that were masked.
    """

    health: Health
    collapsed: str
    short: str
    causes: tuple[str, ...]
    kept: str
    steps: int
    seconds: float
    twins: int


def train(
    model: Model,
    data: Dataset,
    folder: Folder,
    logger: Logger,
    fleet: Launcher,
    *,
    resume: bool,
    budget: Budget | None = None,
) -> tuple[Model, TrainResult]:
    """Trains a model on the training rows; writes metrics, checkpoints and encoders to the folder.

    Args:
        fleet: The processes of the run; all of them train and return, the first one writes.
        resume: Whether to continue from the newest checkpoint.
        budget: The minutes of the run. Default: those of the plan, from now on.

    Returns:
        The trained model, and how training went.

    Raises:
        Interrupted: Ctrl-C or SIGTERM, after a checkpoint.
        UserError: Too few rows, or a loss or gradient that is not finite.
    """
    refuse(model.learner, passes=model.experiment.plan.passes, splits=fleet.splits)
    reader = Reader(data, model.modalities, model.learner.needs)
    saved = folder.newest_checkpoint() if resume else None
    budget = budget or Budget(model.experiment.plan.minutes)
    model, course, orders, first = _begun(model, data, reader, folder, fleet, budget, logger, saved)
    _tell(course, next(iter(orders.values())), first, logger, budget, resumed=saved is not None)
    plan = course.plan
    log = _Log(folder, course, logger)
    validation = Validation.begun(folder, model, data, course, logger)
    needed = forecast(model.learner, first, plan.passes, fleet.ranks.world).words
    with kept_pages(), signals() as stop, watching(folder, plan, fleet, logger, saved) as threads:
        try:
            for moment in pretrain(course, reader, orders, threads=threads):
                if needed:
                    logger.fact("contrast", f"{compared(moment)} · {needed}")
                    needed = ""
                    if moment.norms:
                        logger.fact("tasks", words(moment.terms, moment.norms, moment.cosines))
                log.hear(moment)
                # Clocks, signals and rows differ between processes, but all must take the same decision.
                due, collapsed, stopped = fleet.any(log.due, log.collapsed >= PATIENCE, stop.number > 0)
                better, ended = validation.after_step(course)
                if due or better or ended:
                    log.checkpoint()
                if better:
                    validation.tidy()
                if collapsed and not plan.keep_going:
                    break
                if stopped and course.step < course.total:
                    log.checkpoint()
                    raise Interrupted(f"stopped at step {course.step:,}; {folder.go_on}", stop.number or signal.SIGTERM)
        except NotFinite as broken:
            raise _saved(broken, folder, course) from broken
    log.checkpoint()
    model = replace(model, learner=course.trained().eval())
    model.learner.encoders.mode = PrecisionMode()  # embeds in float32, as a loaded model does
    kept = validation.end(model.learner, course)
    assert log.last is not None
    assert log.last.health is not None
    logger.fact("health", log.last.health.words)
    if fleet.first:
        model.save(folder)
    own = _own_causes(model)
    causes = tuple(_causes(model, log.last, first, own))
    collapsed = collapse(log.start, log.last.health, named=bool(own))
    short = too_short(course.step)
    return model, TrainResult(log.last.health, collapsed, short, causes, kept, course.step, course.seconds, log.twins)


def _begun(
    model: Model,
    data: Dataset,
    reader: Reader,
    folder: Folder,
    fleet: Launcher,
    budget: Budget,
    logger: Logger,
    saved: Checkpoint | None,
) -> tuple[Model, TrainState, dict[str, Sampler], Batches]:
    """Completes the plan in experiment.json; gives model, training state, samplers and first views."""
    mode, seconds = pinned(model.experiment.plan), 0.0
    if saved is None:  # a resumed run keeps its number format, even if another is faster now
        model, mode, seconds = choose_plan(model, data, reader, fleet, budget)
        folder.write("experiment.json", model.experiment.to_json())
    orders = orders_of(model, data)
    first = first_views(model, reader, orders, fleet.device, fleet.ranks)
    # Asked of the learner of the start, so that a resumed run caches what it did when it began.
    asked = frozen(model, first) if model.experiment.plan.cache_features == "on" else {}
    course = _course(model, fleet, mode, budget, saved)
    if asked:
        reader.known = known_features(model, data, asked, folder, fleet, logger)
        first = first_views(model, reader, orders, fleet.device, fleet.ranks)
    if saved is None:
        course.allowed = budget.training()
        total = steps_named(course.plan, next(iter(orders.values()))) or max(
            1, int(course.allowed / max(seconds, 1e-6))
        )
        course.total = int(fleet.broadcast(str(total)))
    course.totals = folder.totals()
    return model, course, orders, first


def choose_plan(
    model: Model, data: Dataset, reader: Reader, fleet: Launcher, budget: Budget
) -> tuple[Model, PrecisionMode, float]:
    """Chooses what the plan leaves open: the number format and the rows per step.

    Returns:
        The model with the whole plan, its number format, and the seconds of a step if minutes end the run.
    """
    plan, ranks = model.experiment.plan, fleet.ranks
    orders = orders_of(model, data)
    order = next(iter(orders.values()))
    first = first_views(model, reader, orders, fleet.device, ranks)
    mode, seconds = choose(model.learner.to(fleet.device), first, plan, steps_named(plan, order))
    rows, batch = len(order.sampled.rows), order.sampled.batch
    batch, seconds = pacing.paced(plan, batch, rows, seconds, budget.training())
    # Each process has measured for itself; the first one decides.
    said, batch, seconds = json.loads(fleet.broadcast(json.dumps([asdict(mode), plan.batch or batch, seconds])))
    steps = steps_named(plan, order) or budget.training() / max(seconds, 1e-9)
    cached = fleet.broadcast(decided(plan, model, first, steps * batch / rows))
    whole = replace(forced(plan, PrecisionMode(**said)), batch=batch, cache_features=cached)
    return replace(model, experiment=replace(model.experiment, plan=whole)), PrecisionMode(**said), seconds


def _course(model: Model, fleet: Launcher, mode: PrecisionMode, budget: Budget, saved: Checkpoint | None) -> TrainState:
    """The training state: new, or from a checkpoint."""
    experiment, learner = model.experiment, model.learner.to(fleet.device)
    plan = experiment.plan
    spare = copy.deepcopy(learner).cpu() if fleet.splits or plan.ema is not None else None
    encode, no_sync = fleet.setup(learner, mode)
    optimiser, rate, decay = optimiser_of(plan)
    made = optimiser.build(groups_of(learner, rate, decay), rate)
    course = TrainState(learner, encode, no_sync, made, plan, mode, 0, experiment.seed, fleet, budget.training(), spare)
    course.average = None if plan.ema is None else WeightAverage(learner, plan.ema)
    if saved:
        course.restore(*saved)
    return course


def _tell(course: TrainState, order: Sampler, first: Batches, logger: Logger, budget: Budget, *, resumed: bool) -> None:
    """Logs how the run computes, and for how long."""
    fleet, plan, learner = course.fleet, course.plan, course.learner
    if resumed:
        logger.fact("resume", f"at step {course.step:,} of {course.total:,}")
    else:
        logger.fact("length", length(course.total, order, budget.words()))
    logger.fact("computing", " · ".join(w for w in (course.mode.words, str(fleet.device), fleet.words) if w))
    if plan.ema is not None:
        logger.fact("average", f"of the weights, with decay {plan.ema:g}: it is what is evaluated, kept and served")
    if inexact := inexact_passes(learner, plan):
        logger.fact("note", inexact)
    if lacking := _unrepeatable(learner, first, fleet, plan):
        logger.fact(
            "note",
            f"{lacking} has no deterministic form on {fleet.device.type}: a second run may differ in last digits",
        )


def _unrepeatable(learner: Learner, first: Batches, fleet: Launcher, plan: Plan) -> str:
    """Operations of a step without a deterministic form on the device; "" if none."""
    if plan.deterministic == "off" or fleet.device.type == "cpu" or fleet.splits:
        return ""
    twin = copy.deepcopy(learner)
    return unrepeatable(lambda: step(twin, twin, first, Ranks(alone=True), seed=0, passes=plan.passes))


def optimiser_of(plan: Plan) -> tuple[Optimiser, float, float]:
    """The optimiser, with learning rate and weight decay of the plan or its own."""
    made: Optimiser = factory.build("optimisers", plan.optimiser.name, plan.optimiser.settings)
    rate = made.learning_rate if plan.learning_rate is None else plan.learning_rate
    return made, rate, made.weight_decay if plan.weight_decay is None else plan.weight_decay


def inexact_passes(learner: Learner, plan: Plan) -> str:
    """What several encoder passes per step compute differently from a single one; "" for nothing."""
    norms = sum(isinstance(m, _BatchNorm | RankNorm) for m in learner.modules())
    if plan.passes is None or plan.batch is None or plan.passes >= plan.batch or not norms:
        return ""
    return (
        f"passes of {plan.passes} rows: {norms} batch norms see a pass, not the batch of {plan.batch}, so the gradient "
        "is that of smaller batches there; all else is exact. Encoders with layer or group norm have no such limit."
    )


class _Log:
    """Writes metrics after each step and checkpoints by the clock; counts collapsed checks and duplicates."""

    def __init__(self, folder: Folder, course: TrainState, logger: Logger) -> None:
        self.folder, self.course, self.logger = folder, course, logger
        kept = [m for m in folder.moments() if m["step"] <= course.step]  # steps after the checkpoint are repeated
        if course.step >= course.total and not (kept and kept[-1]["step"] == course.step):
            raise UserError(
                f"{folder.metrics} lacks step {course.step:,}, which the newest checkpoint holds; bring "
                "that file back, or remove the newest checkpoint to train from the one before."
            )
        folder.write(folder.metrics.name, "".join(json.dumps(m) + "\n" for m in kept))
        healthy = [m for m in kept if m["health"]]
        self.last = StepRecord(**{**healthy[-1], "health": Health(**healthy[-1]["health"])}) if healthy else None
        self.start = Health(**healthy[0]["health"]) if healthy else None
        self.collapsed = 0
        self.twins = sum(m["twins"] for m in kept)
        self.saved, self.step = time.monotonic(), course.step

    def hear(self, moment: StepRecord) -> None:
        self.logger.moment(moment)
        self.twins += moment.twins
        if moment.health:
            self.start, self.last = self.start or moment.health, moment
            late = moment.step >= 20  # the first steps of a random network are no collapse
            self.collapsed = self.collapsed + 1 if moment.health.collapsed and late else 0
        self.folder.append(self.folder.metrics.name, json.dumps(asdict(moment)) + "\n")

    @property
    def due(self) -> bool:
        return time.monotonic() - self.saved > self.course.plan.checkpoint

    def checkpoint(self) -> None:
        """Saves this step unless saved; metrics are flushed first, never behind a checkpoint."""
        if self.step != self.course.step:
            self.folder.flush(self.folder.metrics.name)
            self.folder.save_checkpoint(*self.course.state())
        self.saved, self.step = time.monotonic(), self.course.step


def _own_causes(model: Model) -> list[str]:
    """Causes of a collapse that the tasks name of their own settings."""
    return [cause for task in model.learner.parts.values() for cause in task.collapse_causes()]


def _causes(model: Model, moment: StepRecord, first: Batches, own: Sequence[str]) -> list[str]:
    optimiser, rate, decay = optimiser_of(model.experiment.plan)
    rows = max(map(len, first.values()))
    pairs = len(model.fields) * rows * (rows - 1) / 2  # of rows, in every field
    views = [view.data for batch in first.values() for view in batch.views.values()]
    return likely_causes(
        learning_rate=rate,
        usual_rate=optimiser.learning_rate,
        weight_decay=decay,
        temperature=_temperature(model),
        batch=rows,
        twins=moment.twins / pairs,
        varied=min(max(map(_varied, containers.tensors(data))) for data in views),
        gradient=moment.gradient,
        short=too_short(moment.step),
        own=own,
    )


def _temperature(model: Model) -> float:
    """Temperature of the served task; a usual one if it has none."""
    given = model.experiment.tasks[model.experiment.served].task.settings.get("temperature")
    return float(given) if isinstance(given, int | float) else 0.1


def _varied(x: torch.Tensor) -> float:
    return float(torch.nan_to_num(x.float()).std(0).mean()) if len(x) > 1 and x.numel() else 0.0


def _saved(broken: NotFinite, folder: Folder, course: TrainState) -> UserError:
    """Saves the batch that is not finite; gives the error that names its file."""
    name = f"not-finite-step-{broken.step}.safetensors"
    tensors: dict[str, torch.Tensor] = {}
    for batch in broken.batches.values():
        for which, view in batch.views.items():
            parts = containers.tensors(view.data)
            tensors |= {f"view {which}{f' {k}' if k else ''}": x for k, x in enumerate(parts)}
        tensors |= {f"key {which}": key for which, key in batch.keys.items()}
    folder.save_tensors(name, tensors)
    return UserError(
        f"{broken}; training stopped. The batch is in {folder.path / name}. Most often the learning rate is too high "
        f"(now {course.optimiser.param_groups[0]['lr']:g}) or a field holds numbers of wild size; lower the one with "
        "--learning-rate, look at the other in that file."
    )
