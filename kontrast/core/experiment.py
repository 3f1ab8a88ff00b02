"""The `Experiment`: a frozen description of a whole run that converts to JSON and back.

The difference of two runs is the difference of their two JSON files.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kontrast.core import factory, registry, untrusted_json
from kontrast.core.choice import Choice, choice
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.task_choice import MAIN, RESERVED, TaskChoice, one_task, task_choice

# Checkpoint names have nine digits for the step, and epochs are counted in steps; minutes are limited to ten years.
LONGEST = {"steps": 999_999_999, "epochs": 999_999_999, "minutes": 5_256_000}
_CODE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")  # package.module:Name

# What a column may be besides a modality.
OTHER_KINDS = (
    "label", "labels", "soft", "teacher", "number", "score", "sensitive", "group", "time", "weight", "id", "split",
    "meta", "ignore",
)  # fmt: skip


def _within(part: str, values: object, least: Mapping[str, float], most: float = math.inf) -> None:
    """Refuses values outside the range from their entry in `least` to `most`; skips None."""
    for name, low in least.items():
        value = vars(values)[name]
        if value is not None and not low <= value <= most:
            wanted = f"{low:g} or more" if most >= factory.WHOLE else f"{low:g} to {most:g}"
            raise UserError(f"{part}.{name}={str(value)[:40]}; expected {wanted}{', and finite' * (value > most)}.")


@dataclass(frozen=True)
class Source:
    """Where the rows come from and what their columns are.

    Attributes:
        data: Path of the data, or "memory" for data passed as Python objects. Default: "memory".
        fields: Column -> kind, as chosen by the user or inferred. Default: none chosen.
        quarantine: Largest share (0 to 1) of unreadable rows that training accepts. Default: 0.01.
        held_out: Share (0 to 1) of the rows kept for evaluation if the data has no split of its own. The latest rows if
            a column is the time; else drawn by hash of the group, or of the id if there is no group. Default: 0.2.
        validation: Share (0 to 1) of the remaining rows kept apart to monitor training and choose by, drawn in the same
            way if the data names no validation rows beside a test. None draws none and keeps those that are named;
            0 trains on these too. Default: None.
        split_seed: Seed of the draw of held-out and validation rows, so that runs with other seeds share them. None
            takes the seed of the run. Default: None.
        outside: Whether cells may name files outside the data's folder: by absolute paths, by `..` or through links. If
            False, such rows are quarantined. Default: False.
        missing: Strings that mean a missing value. "None" is not among the defaults, since as a class it has a meaning
            (no defect, no finding).
        series: Column that says which series a row belongs to, if the data are a long table with one row per instant;
            the rows of a series become one row. Default: None.
        time: Column of the times of a long table; None takes the rows of a series in their order. Default: None.
        channels: Columns of a long table that are the channels of its series. None takes all numbers that change within
            a series when the run begins. Default: None.
        sampling: "grid" gives readings a place by their time, in steps of equal length, so that missing instants are
            gaps and several readings within a step are averaged; "elapsed" keeps each reading and adds the time since
            the one before as a channel; "order" takes readings as equally spaced. "auto" decides when the run begins:
            by "grid", unless that would be nearly all gaps. Default: "auto".
        step: Seconds between two instants of a long table if its times are dates, else the difference of two times.
            None takes the usual one when the run begins. Default: None.
    """

    data: str = "memory"
    fields: Mapping[str, str] = field(default_factory=dict)
    quarantine: float = 0.01
    held_out: float = 0.2
    validation: float | None = None
    split_seed: int | None = None
    outside: bool = False
    missing: tuple[str, ...] = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null")
    series: str | None = None
    time: str | None = None
    channels: tuple[str, ...] | None = None
    sampling: Literal["auto", "grid", "elapsed", "order"] = "auto"
    step: float | None = None

    def __post_init__(self) -> None:
        _within("source", self, {"quarantine": 0, "held_out": 0, "validation": 0}, most=1)
        _within("source", self, {"step": 1e-12}, most=factory.LARGE)


@dataclass(frozen=True)
class Plan:
    """How long and how to train.

    At most one of `steps`, `epochs` and `minutes` is set. If none is, the run ends after 1,000 steps or 200 epochs,
    whichever is less.

    Attributes:
        sampler: Chooses the rows of each step. Default: "shuffled".
        batch: Rows per step over all ranks, 2 or more. None chooses it when the run begins: 256, or fewer if rows are
            few or the run is short, since some hundreds of steps matter more than wide ones. Default: None.
        buckets: Batches per group that are sorted by length together, so that each holds rows of about equal length; 1
            does not sort. Default: 1.
        steps: Number of steps to train.
        epochs: Number of passes over the training rows; fractions are allowed.
        minutes: Minutes to train.
        optimiser: Updates the weights. Default: "adamw".
        learning_rate: Peak learning rate, 0 to 1,000. None takes the optimiser's. Default: None.
        weight_decay: Weight decay, 0 to 1,000. None takes the optimiser's. Default: None.
        warmup: Share (0 to 1) of the steps in which the learning rate rises. Default: 0.05.
        clip: Largest norm of the gradient; 0 does not clip. Default: 1.0.
        passes: Rows per pass of the encoder (gradient caching). None encodes all rows in one pass. Default: None.
        recompute: "on" stores only the inputs of the encoder's blocks and computes their activations again for the
            gradient (activation checkpointing): less memory, more time. Default: "off".
        deterministic: "on" gives the same weights for the same command and refuses operations without a deterministic
            form; "auto" continues with them. Default: "auto".
        precision: "32" or "bf16"; "auto" decides by the machine and the encoder, or by timing the first steps if
            `deterministic` is "off". Default: "auto".
        channels_last: Whether images are stored channels last; "auto" decides as for `precision`. Default: "auto".
        compile: Whether the model is compiled; "auto" decides as for `precision`. Default: "auto".
        cache_features: Whether features of frozen encoders are computed once, before the first step, for views without
            augmentation; "auto" decides when the run begins: if it sees each row twice or more. Default: "auto".
        checkpoint: Seconds between checkpoints. Default: 60.
        keep: The state that a run keeps: the last, or the best by validation rows of eleven states, the start included.
            Default: "last".
        patience: Tenths of the run without a better evaluation of the validation rows after which training ends; None
            trains to the end. Default: None.
        ema: Decay of the moving average of the weights, which is then what is evaluated, kept and served; at least 0
            and below 1, such as 0.999. None takes the weights themselves. Default: None.
        monitor: Largest share of the time that evaluations of validation rows while training take, beside one at the
            start and one at the end; 0 for none. Default: 0.03.
        keep_going: Whether training continues after the embeddings have collapsed. Default: False.
        evaluation_rows: Largest number of held-out rows for the run's own scores, 2 or more; kNN and probe learn from
            up to twice as many training rows. None chooses when the run begins: 1,500, or fewer if the minutes are
            short.
            Default: None.
    """

    sampler: Choice = Choice("shuffled")
    batch: int | None = None
    buckets: int = 1
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    optimiser: Choice = Choice("adamw")
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup: float = 0.05
    clip: float = 1.0
    passes: int | None = None
    recompute: Literal["off", "on"] = "off"
    deterministic: Literal["auto", "on", "off"] = "auto"
    precision: Literal["auto", "32", "bf16"] = "auto"
    channels_last: Literal["auto", "on", "off"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    cache_features: Literal["auto", "on", "off"] = "auto"
    checkpoint: float = 60.0
    keep: Literal["last", "best-by-validation"] = "last"
    patience: int | None = None
    ema: float | None = None
    monitor: float = 0.03
    keep_going: bool = False
    evaluation_rows: int | None = None

    def __post_init__(self) -> None:
        _within("plan", self, {"batch": 2, "buckets": 1, "passes": 1, "evaluation_rows": 2}, most=factory.WHOLE)
        _within("plan", self, {"learning_rate": 0, "weight_decay": 0}, most=1000)
        _within("plan", self, {"clip": 0, "checkpoint": 0}, most=factory.LARGE)
        _within("plan", self, {"warmup": 0, "ema": 0, "monitor": 0}, most=1)
        _within("plan", self, {"patience": 1}, most=10)
        if self.ema == 1:
            raise UserError("plan.ema=1 keeps the random start; expected less than 1, such as 0.999.")
        ends = {name: vars(self)[name] for name in ("steps", "epochs", "minutes") if vars(self)[name] is not None}
        for name, length in ends.items():
            if not 0 < length < math.inf:
                raise UserError(f"plan.{name}={length:g}; expected more than 0.")
            if length > LONGEST[name]:
                raise UserError(f"plan.{name}={str(length)[:40]}; expected at most {LONGEST[name]:,}.")
        if len(ends) > 1:
            raise UserError(f"a run ends by one of --steps, --epochs, --minutes; found {' and '.join(ends)}.")


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a run: source, views, encoders, tasks, plan, scores and seed.

    Attributes:
        source: The data and its columns.
        views: Field -> modality and its settings.
        encoders: Tower -> encoder. A tower has the name of a modality, or of a field that gets an encoder of its own.
        tasks: Name -> task and its settings. Default: one, "simclr".
        aggregator: How several tasks become one gradient. Default: "weighted".
        serve: Name of the task that says what is embedded. Default: the first one.
        plan: How long and how to train.
        scores: The scores of the evaluation.
        seed: Seed of every random draw. Default: 0.
    """

    source: Source = Source()
    views: Mapping[str, Choice] = field(default_factory=dict)
    encoders: Mapping[str, Choice] = field(default_factory=dict)
    tasks: Mapping[str, TaskChoice] = field(default_factory=lambda: one_task("simclr"))
    aggregator: Choice = Choice("weighted")
    serve: str = ""
    plan: Plan = Plan()
    scores: tuple[Choice, ...] = ()
    seed: int = 0

    @property
    def split_seed(self) -> int:
        """Seed of the draw of held-out, validation and evaluated rows."""
        return self.seed if self.source.split_seed is None else self.source.split_seed

    def __post_init__(self) -> None:
        if not self.tasks:
            raise UserError("an experiment without a task; expected one or more under `tasks`.")
        for name in self.tasks:
            if not re.fullmatch(r"[A-Za-z_][\w-]*", name):
                raise UserError(f"tasks.{name}: expected a name of letters, digits, - and _.")
        if self.serve and self.serve not in self.tasks:
            raise UserError(f"serve='{self.serve}' is no task{did_you_mean(self.serve, self.tasks)}")

    @property
    def served(self) -> str:
        """Name of the task that says what is embedded."""
        return self.serve or next(iter(self.tasks))

    @property
    def names(self) -> str:
        """The kinds of its tasks in a word: `simclr`, `simclr+rotation`."""
        return "+".join(chosen.task.name for chosen in self.tasks.values())

    def to_json(self) -> str:
        """Indented JSON; keys in the order of the attributes."""
        return untrusted_json.written(plain(self), 2) + "\n"

    @staticmethod
    def from_json(text: str, where: str = "experiment") -> "Experiment":
        """Parses what `to_json` wrote.

        Args:
            text: The JSON text.
            where: What the text is, for messages.

        Raises:
            UserError: Invalid JSON, an unknown key (the message names the nearest one) or an invalid value.
        """
        return _frozen(Experiment, untrusted_json.tree(text, where), where)

    def difference(self, other: "Experiment") -> list[str]:
        """One line per setting that differs: `plan.batch: 256 -> 512`."""
        one, two = dict(leaves(plain(self))), dict(leaves(plain(other)))
        return [
            f"{k}: {one.get(k, 'absent')} -> {two.get(k, 'absent')}"
            for k in sorted({*one, *two})
            if one.get(k) != two.get(k)
        ]


def plain(value: Any) -> Any:
    """Converts a value of an experiment to JSON types.

    A choice becomes an object with its name and settings, a tuple a list.
    """
    if isinstance(value, Choice):
        return {"name": value.name, **{k: plain(v) for k, v in value.settings.items()}}
    if isinstance(value, TaskChoice):
        own = {name: plain(vars(value)[name]) for name in RESERVED}
        return {**plain(value.task), **own}
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, tuple | list) else value


def _frozen(made: type, tree: Any, where: str) -> Any:
    if not isinstance(tree, dict):
        raise UserError(
            f"{where} is {tree!r}; expected an object with {', '.join(f.name for f in dataclasses.fields(made))}."
        )
    known = {f.name: f for f in dataclasses.fields(made)}
    values = {}
    if made is Experiment and "method" in tree:  # earlier versions had one task and called it method
        tree = {**{k: v for k, v in tree.items() if k != "method"}, "tasks": {MAIN: tree["method"]}}
    for key, value in tree.items():
        if key not in known:
            raise UserError(f"{where} has no setting '{key}'{did_you_mean(key, known)}")
        values[key] = _part(made, key, value, f"{where}.{key}")
    return made(**values)


def _part(made: type, key: str, value: Any, where: str) -> Any:
    if (made, key) in {(Experiment, "source"), (Experiment, "plan")}:
        return _frozen(Source if key == "source" else Plan, value, where)
    if (made, key) in {(Experiment, "views"), (Experiment, "encoders"), (Experiment, "tasks")}:
        if not isinstance(value, dict):
            raise UserError(f"{where} is {value!r}; expected an object: a choice by name.")
        if key == "tasks":
            return {name: task_choice(v, f"{where}.{name}") for name, v in value.items()}
        return {name: choice(v, f"{where}.{name}") for name, v in value.items()}
    if (made, key) == (Experiment, "scores"):
        if not isinstance(value, list):
            raise UserError(f"{where} is {value!r}; expected a list of choices.")
        return tuple(choice(v, where) for v in value)
    if key in {"aggregator", "optimiser", "sampler"}:
        return choice(value, where)
    words = {name: hint for name, hint, _ in factory.settings_of(made)}
    kind = next(f.type for f in dataclasses.fields(made) if f.name == key)
    if not factory.fits(value, kind):
        raise UserError(f"{where}={value!r} is not {words[key]}.")
    return tuple(value) if isinstance(value, list) else value  # JSON knows no tuples


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """Flattens nested JSON objects to pairs of dotted name and value: `("plan.batch", 256)`."""
    if isinstance(tree, dict) and tree:
        return [leaf for k, v in tree.items() for leaf in leaves(v, f"{path}.{k}" if path else k)]
    return [(path, tree)]


def refuse_code(experiment: Experiment, who: str) -> None:
    """Refuses an experiment that names code outside kontrast, which runs when it is loaded.

    Args:
        experiment: May name such code as `package.module:Name`.
        who: Begins the message.

    Raises:
        UserError: The experiment names such code.
    """
    parts = [
        experiment.tasks,
        experiment.aggregator,
        experiment.plan,
        experiment.scores,
        experiment.views,
        experiment.encoders,
    ]
    strange = [word for part in parts for word in _strings(plain(part)) if _CODE.fullmatch(word)]
    if strange:
        raise UserError(
            f"{who} names code, '{strange[0]}', which runs as soon as it is loaded; add --trust-code (in Python: "
            "trust_code=True) if that code is your own, or you have read it."
        )


def _strings(tree: Any) -> Iterator[str]:
    """Yields every string in nested values; a teacher of a known kind (`timm:resnet18`) names no code."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for key, part in tree.items():
            known = key == "teacher" and isinstance(part, str) and part.partition(":")[0] in registry.kinds("teachers")
            yield from () if known else _strings(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _strings(part)
