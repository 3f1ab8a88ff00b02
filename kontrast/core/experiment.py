"""An Experiment: one frozen value that says all of a run, to JSON and back; the diff of two runs is the diff of two
JSON files."""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kontrast.core import factory, untrusted_json
from kontrast.core.choice import Choice, choice
from kontrast.core.errors import UserError, did_you_mean

# A checkpoint's name has nine digits for its step; epochs are counted in steps; ten years of minutes.
LONGEST = {"steps": 999_999_999, "epochs": 999_999_999, "minutes": 5_256_000}
_CODE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")  # package.module:Name

Kinds = Literal[
    "image", "text", "series", "label", "labels", "soft", "number", "score", "sensitive", "group", "time", "weight",
    "id", "split", "meta", "ignore",
]  # fmt: skip


def _within(part: str, values: object, least: Mapping[str, float], most: float = math.inf) -> None:
    """Refuse a number of `values` below its least or above `most`; None says nothing."""
    for name, low in least.items():
        value = vars(values)[name]
        if value is not None and not low <= value <= most:
            wanted = f"{low:g} or more" if most >= factory.WHOLE else f"{low:g} to {most:g}"
            raise UserError(f"{part}.{name}={str(value)[:40]}; expected {wanted}{', and finite' * (value > most)}.")


@dataclass(frozen=True)
class Source:
    """Where the rows come from and what their columns are.

    data: a path, or "memory" for what was handed over in Python. fields: column -> kind, where the user or inference
    said so.
    quarantine: the largest share of unreadable rows that training accepts. held_out: the share of rows kept for
    judging where the data has no split of its own: drawn by hash of the id, or of the group where a column is one; the
    latest where a column is the time. validation: the share of the other rows that is kept apart as well, to watch and
    to choose by, drawn in the same way where the data names no validation rows beside a test; None draws none and keeps
    those that are named; 0 trains on these too. outside: whether cells may name files that lie outside of the data's
    folder, by absolute paths, by .. or through links; else such rows are quarantined. missing: strings that stand for
    nothing; "None" is not among them, for as a class (no defect, no finding) it means something.
    """

    data: str = "memory"
    fields: Mapping[str, str] = field(default_factory=dict)
    quarantine: float = 0.01
    held_out: float = 0.2
    validation: float | None = None
    outside: bool = False
    missing: tuple[str, ...] = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null")

    def __post_init__(self) -> None:
        _within("source", self, {"quarantine": 0, "held_out": 0, "validation": 0}, most=1)


@dataclass(frozen=True)
class Plan:
    """How long and how to train. One of steps, epochs, minutes ends the run; where none is named, 1,000 steps or
    200 epochs do, whichever is less.

    sampler: which rows each step sees. batch: rows per step over all ranks; None chooses it when the run begins: 256,
    or fewer where rows are few or the run is short, for some hundreds of steps come before wide ones. buckets:
    number of batches sorted by length together, so each holds rows of about one length; 1 for none. passes: rows per
    pass of the encoder (gradient caching), None for one pass. recompute: "on" keeps what enters the encoder's blocks
    alone and computes their insides again for the gradient (activation checkpointing): less memory, more time.
    deterministic: the same command twice gives the same weights; "on" refuses what has no such form, "auto" goes on.
    precision, channels_last, compile: "auto" decides by what the machine has and the encoder does; where deterministic
    is "off", by the stopwatch in the first steps.
    keep: the last state, or the best of eleven on the way (the start is one) by rows that are not judged.
    evaluation_rows: held-out rows that the run's own scores rest on at most, with twice as many training rows to teach
    kNN and probe; None chooses when the run begins: 1,500, or fewer where the minutes are short.
    warmup: share of the steps. clip: largest norm of the gradient, 0 for none. checkpoint: seconds between checkpoints.
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
    checkpoint: float = 60.0
    keep: Literal["last", "best-by-validation"] = "last"
    keep_going: bool = False
    evaluation_rows: int | None = None

    def __post_init__(self) -> None:
        _within("plan", self, {"batch": 2, "buckets": 1, "passes": 1, "evaluation_rows": 2}, most=factory.WHOLE)
        _within("plan", self, {"learning_rate": 0, "weight_decay": 0}, most=1000)
        _within("plan", self, {"clip": 0, "checkpoint": 0}, most=factory.LARGE)
        _within("plan", self, {"warmup": 0}, most=1)
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
    """Source, views, encoders, method, plan, scores, seed.

    views: field -> modality and its settings. encoders: tower (a modality's name, or a field's to give it its own) ->
    encoder.
    """

    source: Source = Source()
    views: Mapping[str, Choice] = field(default_factory=dict)
    encoders: Mapping[str, Choice] = field(default_factory=dict)
    method: Choice = Choice("simclr")
    plan: Plan = Plan()
    scores: tuple[Choice, ...] = ()
    seed: int = 0

    def to_json(self) -> str:
        """Indented JSON, keys in the order of the signature."""
        return untrusted_json.written(plain(self), 2) + "\n"

    @staticmethod
    def from_json(text: str, where: str = "experiment") -> "Experiment":
        """Back from `to_json`; a key that is not in the signature is refused with the nearest one."""
        return _frozen(Experiment, untrusted_json.tree(text, where), where)

    def difference(self, other: "Experiment") -> list[str]:
        """One line a setting that differs: `plan.batch: 256 -> 512`."""
        one, two = dict(leaves(plain(self))), dict(leaves(plain(other)))
        return [
            f"{k}: {one.get(k, 'absent')} -> {two.get(k, 'absent')}"
            for k in sorted({*one, *two})
            if one.get(k) != two.get(k)
        ]


def plain(value: Any) -> Any:
    """A value of an experiment as JSON has it: a choice is an object with its name and settings."""
    if isinstance(value, Choice):
        return {"name": value.name, **{k: plain(v) for k, v in value.settings.items()}}
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
    for key, value in tree.items():
        if key not in known:
            raise UserError(f"{where} has no setting '{key}'{did_you_mean(key, known)}")
        values[key] = _part(made, key, value, f"{where}.{key}")
    return made(**values)


def _part(made: type, key: str, value: Any, where: str) -> Any:
    if (made, key) in {(Experiment, "source"), (Experiment, "plan")}:
        return _frozen(Source if key == "source" else Plan, value, where)
    if (made, key) in {(Experiment, "views"), (Experiment, "encoders")}:
        if not isinstance(value, dict):
            raise UserError(f"{where} is {value!r}; expected an object: a choice by name.")
        return {name: choice(v, f"{where}.{name}") for name, v in value.items()}
    if (made, key) == (Experiment, "scores"):
        if not isinstance(value, list):
            raise UserError(f"{where} is {value!r}; expected a list of choices.")
        return tuple(choice(v, where) for v in value)
    if key in {"method", "optimiser", "sampler"}:
        return choice(value, where)
    words = {name: hint for name, hint, _ in factory.settings_of(made)}
    kind = next(f.type for f in dataclasses.fields(made) if f.name == key)
    if not factory.fits(value, kind):
        raise UserError(f"{where}={value!r} is not {words[key]}.")
    return tuple(value) if isinstance(value, list) else value  # JSON knows no tuples


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """(`plan.batch`, 256), ...: a nested JSON object as dotted names and what stands there."""
    if isinstance(tree, dict) and tree:
        return [leaf for k, v in tree.items() for leaf in leaves(v, f"{path}.{k}" if path else k)]
    return [(path, tree)]


def refuse_code(experiment: Experiment, who: str) -> None:
    """Refuses an experiment that names code of its own, `package.module:Name`, which runs as soon as it is loaded.

    Raises:
        UserError: it does; `who` begins the message.
    """
    parts = [experiment.method, experiment.plan, experiment.scores, experiment.views, experiment.encoders]
    strange = [word for part in parts for word in _strings(plain(part)) if _CODE.fullmatch(word)]
    if strange:
        raise UserError(
            f"{who} names code, '{strange[0]}', which runs as soon as it is loaded; add --trust-code (in Python: "
            "trust_code=True) if that code is your own, or you have read it."
        )


def _strings(tree: Any) -> Iterator[str]:
    """All that stand anywhere in nested values."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _strings(part)
