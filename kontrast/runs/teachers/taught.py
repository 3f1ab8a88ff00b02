"""What teachers make of the training rows, computed once before the first step."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from kontrast.core import containers, registry
from kontrast.core.byte_size import size
from kontrast.core.errors import Unreadable, UserError
from kontrast.core.experiment import Experiment
from kontrast.core.shards import hash_weights
from kontrast.core.untrusted_json import shaped
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.feature_store import FeatureFiles, KnownFeatures
from kontrast.data.dataset.packing import reader
from kontrast.data.packed_row import PackedRow, is_packed
from kontrast.data.schema.missing_values import missing
from kontrast.data.schema.target import Target
from kontrast.data.tables.frame import Column, Frame
from kontrast.encoders.features import Features
from kontrast.evaluation.linear import Linear
from kontrast.reporting.logger import Logger
from kontrast.runs.folder.feature_writing import CHUNK, written
from kontrast.runs.folder.folder import TEACHERS, Folder
from kontrast.runs.teachers.teacher_model import TeacherModel, teacher_of
from kontrast.tasks.task import Task
from kontrast.tasks.taught import Gives, TeacherChoice, spelled, taught_key
from kontrast.training.launcher import Launcher

TRIED = 1000  # rows of which a teacher must be able to read one


class Teacher(Target):
    """What a teacher gives, as a key (B, D) float32 of each row; zeros in rows that it does not know.

    Args:
        known: By row.
        teacher: The teacher in a line.
        gives: Embeddings, or class probabilities.
    """

    def __init__(self, known: KnownFeatures, teacher: str, gives: Gives) -> None:
        super().__init__(column=teacher, who=f"teacher {teacher}")
        self._known, self._gives = known, gives
        self._width = known.rows(np.zeros(1, int))["pooled"].shape[1]

    def fit(self, cells: Column, rows: np.ndarray, ids: np.ndarray) -> None:
        """Nothing: it is made of a model, not of a column."""

    def facts(self) -> Mapping[str, Any]:
        """The `width` of the embeddings, or the number of `classes`."""
        return {"width" if self._gives == "teacher" else "classes": self._width}

    def keys(self, index: np.ndarray) -> Tensor:
        """Keys of rows: (B, D) float32."""
        return self._known.rows(index)["pooled"]


@dataclass(frozen=True)
class _Lesson:
    """What one task asks of a teacher."""

    teacher: str | dict[str, Any]
    field: str
    gives: Gives

    @property
    def key(self) -> str:
        return taught_key(self.field, self.teacher, self.gives)

    @property
    def name(self) -> str:
        """Name under which its embeddings are kept, whichever task asks for them."""
        return taught_key(self.field, self.teacher)


def with_teachers(
    data: Dataset, frame: Frame, experiment: Experiment, folder: Folder, fleet: Launcher, logger: Logger
) -> Dataset:
    """The dataset with what the teachers of all tasks give, as targets of the training rows.

    Embeddings are written to the cache of the run, so that a resumed run takes them from there and needs the teacher no
    more. Without the cache the teacher must be the one that the run began with. All processes call it.

    Args:
        data: The dataset.
        frame: All rows of its source, whose cells the teachers read.
        experiment: Names the tasks and their teachers.
        folder: The run folder; teachers.json pins what each teacher was.
        fleet: The processes of the run.
        logger: Receives progress and facts.

    Raises:
        UserError: A teacher that is not there, cannot read the field, or has changed since the run began.
    """
    lessons = list(_lessons(experiment))
    if not lessons:
        return data
    pins = _pins(folder) if fleet.first else {}
    pins = json.loads(fleet.broadcast(json.dumps(pins)))
    given, tables = dict(data.targets), dict[str, tuple[KnownFeatures, Path, bool]]()
    for lesson in lessons:
        if lesson.name not in tables:
            tables[lesson.name] = _embedded(lesson, data, frame, experiment, folder, fleet, logger, pins)
        known, here, classifies = tables[lesson.name]
        if lesson.gives == "teacher classes" and not classifies:
            known = _classified(known, lesson, data, here, fleet)
        given[lesson.key] = Teacher(known, spelled(lesson.teacher), lesson.gives)
    folder.write_json(TEACHERS, pins)
    return replace(data, targets=given)


def _lessons(experiment: Experiment) -> Iterator[_Lesson]:
    for chosen in experiment.tasks.values():
        made: type[Task] = registry.load("tasks", chosen.task.name)
        teacher: TeacherChoice = chosen.task.settings.get("teacher")
        for gives in get_args(Gives):
            if teacher is not None and gives in made.uses:
                for field in chosen.fields or experiment.views:
                    yield _Lesson(cast(Any, teacher), field, gives)


def _pins(folder: Folder) -> dict[str, dict[str, str]]:
    path = folder.path / TEACHERS
    pinned = {"*": {"fingerprint": str, "classifies": bool}}
    return shaped(folder.read_json(TEACHERS), pinned, str(path)) if path.is_file() else {}


def _embedded(
    lesson: _Lesson,
    data: Dataset,
    frame: Frame,
    experiment: Experiment,
    folder: Folder,
    fleet: Launcher,
    logger: Logger,
    pins: dict[str, dict[str, Any]],
) -> tuple[KnownFeatures, Path, bool]:
    """Embeddings of the training rows, the folder of their files, and whether they are class probabilities."""
    rows = np.flatnonzero(data.training)
    order = rows[data.stores[lesson.field].has[rows]]
    pin = pins.get(lesson.name)
    cache = folder.cache / "teachers"
    here = cache / _key(lesson, data, order, pin or {})
    world = int(fleet.broadcast(str(_complete(here, order) if pin is not None and fleet.first else 0)))
    if not world:
        teacher = teacher_of(lesson.teacher, lesson.field, experiment.views[lesson.field].name, trusts=folder.trusts)
        now = {"fingerprint": fingerprint_of(teacher), "classifies": teacher.classifies}
        if pin is not None and pin != now:
            raise UserError(
                f"the teacher {spelled(lesson.teacher)} is not what it was when {folder.path} was begun; bring it back "
                "as it was, or start a new run."
            )
        pins[lesson.name], world = now, fleet.ranks.world
        here = cache / _key(lesson, data, order, now)
        encode = _encoder(teacher, lesson, frame, data.source_rows(len(frame)), order, fleet)
        doing = f"{spelled(lesson.teacher)} reads {lesson.field}"
        parts = written(here / f"{world}", order, encode, folder, fleet, logger, doing)
        if parts is None:
            raise UserError(
                f"the embeddings of the teacher {spelled(lesson.teacher)} exceed half of the free disk; free some, or "
                "take a teacher of smaller width."
            )
        logger.fact("teacher", _words(lesson, parts, order))
    parts = [FeatureFiles(here / f"{world}" / f"{rank}") for rank in range(world)]
    return KnownFeatures(parts, order, len(data.ids)), here, pins[lesson.name]["classifies"]


def _complete(here: Path, order: np.ndarray) -> int:
    """Number of processes that wrote files which hold all rows; 0 if there are none."""
    for world in sorted(int(part.name) for part in here.glob("[1-9]*") if part.name.isdigit()):
        done = [FeatureFiles(here / f"{world}" / f"{rank}").done for rank in range(world)]
        if done == [len(order[rank::world]) for rank in range(world)]:
            return world
    return 0


def _words(lesson: _Lesson, parts: Sequence[FeatureFiles], order: np.ndarray) -> str:
    """What was computed, and how many rows the teacher could not read."""
    unread = sum(
        int((~part.pooled(np.arange(start, min(start + CHUNK, part.done))).any(1)).sum())
        for part in parts
        for start in range(0, part.done, CHUNK)
    )
    lost = f", of which it cannot read {unread:,}" if unread else ""
    held = size(sum(part.size for part in parts))
    return f"{spelled(lesson.teacher)}: {len(order):,} rows of {lesson.field} read once ({held}){lost}"


def _encoder(
    teacher: TeacherModel, lesson: _Lesson, frame: Frame, kept: np.ndarray, order: np.ndarray, fleet: Launcher
) -> Callable[[np.ndarray], Features]:
    """What embeds rows of the dataset; zeros for those that the teacher cannot read.

    Raises:
        UserError: It can read none of the first rows.
    """
    reads, modality = reader(frame, teacher.modality), teacher.modality
    teacher.network.to(fleet.device)

    def packed(cell: Any) -> PackedRow | Unreadable:
        try:
            return Unreadable("no value") if missing(cell) else modality.pack(reads(cell))
        except Unreadable as error:
            return error

    @torch.no_grad()
    def embedded(items: list[Any]) -> Tensor:
        x = modality.preprocess(modality.collate(items))
        return teacher(containers.apply(lambda t: t.to(fleet.device), x)).float()

    first: PackedRow | Unreadable = Unreadable("no row has the field")
    for cell in (frame.cells(lesson.field, [int(kept[row])])[0] for row in order[:TRIED]):
        if is_packed(first := packed(cell)):
            break
    if isinstance(first, Unreadable):
        raise UserError(f"the teacher {spelled(lesson.teacher)} cannot read the field '{lesson.field}': {first}.")
    try:
        width = embedded([first]).shape[1]
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"the teacher {spelled(lesson.teacher)} cannot take the rows of '{lesson.field}': {said}."
        ) from error

    def encode(part: np.ndarray) -> Features:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(packed, frame.cells(lesson.field, kept[part])))
        readable = [at for at, item in enumerate(found) if is_packed(item)]
        z = torch.zeros(len(part), width, device=fleet.device)
        if readable:
            z[readable] = embedded([found[at] for at in readable])
        return Features(z)

    return encode


def _classified(known: KnownFeatures, lesson: _Lesson, data: Dataset, here: Path, fleet: Launcher) -> KnownFeatures:
    """Class probabilities of a linear probe on the teacher's embeddings, fitted on the labelled training rows.

    The first process computes them, so that all processes have the same.
    """
    label = data.targets.get("label")
    if label is None:
        raise UserError(
            f"the teacher {spelled(lesson.teacher)} gives embeddings; to make classes of them, training needs a column "
            "of labels: --label COLUMN."
        )
    rows = np.flatnonzero(data.training)
    order = rows[data.stores[lesson.field].has[rows]]
    with fleet.in_turn():
        files = FeatureFiles(here / "classes")
        if fleet.first and files.done < len(order):
            z, y = known.rows(order)["pooled"].numpy(), label.keys(order).numpy()
            there = (z != 0).any(1)
            learned = there & (y >= 0)
            if len(np.unique(y[learned])) < 2:
                raise UserError(f"the teacher {spelled(lesson.teacher)} cannot classify: fewer than two classes.")
            scores = Linear().fitted(z[learned], y[learned], label.facts()["classes"])
            for start in range(files.done, len(order), CHUNK):
                part = slice(start, start + CHUNK)
                files.append(np.where(there[part, None], scores(z[part]).softmax(1).numpy(), 0))
    return KnownFeatures([FeatureFiles(here / "classes")], order, len(data.ids))


def fingerprint_of(teacher: TeacherModel) -> str:
    """Hash of a teacher's weights and preprocessing."""
    hashed = hashlib.blake2b(digest_size=16)
    modality = teacher.modality
    facts = [type(teacher).__name__, type(modality).__name__, modality.state(), teacher.classifies]
    hashed.update(json.dumps(facts, sort_keys=True, default=str).encode())
    hash_weights(hashed, teacher.network)
    return hashed.hexdigest()


def _key(lesson: _Lesson, data: Dataset, order: np.ndarray, pin: Mapping[str, Any]) -> str:
    """Name of the folder of embeddings: whatever they depend on."""
    hashed = hashlib.blake2b(digest_size=12)
    hashed.update(json.dumps([lesson.name, pin], sort_keys=True).encode())
    hashed.update(np.ascontiguousarray(data.keys[order]).data)
    hashed.update(np.ascontiguousarray(data.content[lesson.field][order]).data)
    return hashed.hexdigest()
