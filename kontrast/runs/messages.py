"""Texts of the facts that a run shows in the terminal."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.number_format import NO_INTERVAL, interval, number
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.modality import Modality
from kontrast.data.samplers.sampler import Sampler
from kontrast.evaluation.metric_result import RAW
from kontrast.evaluation.verdict import Verdict
from kontrast.runs.model import Model
from kontrast.training.loop import StepRecord


def data(data: Dataset, kinds: Mapping[str, Mapping[str, str]], folder: Path) -> str:
    """Rows, fields, missing cells, duplicates, unreadable rows and unused columns of the data."""
    rows = f"{len(data.ids):,} rows"
    named = " · ".join(
        f"{name} ({kind['kind']})" for name, kind in kinds.items() if kind["kind"] not in ("ignore", "meta")
    )
    parts = [rows, named]
    missing = [f"{n:,} without {name}" for name, n in data.missing.items() if n]
    if missing:
        parts.append(", ".join(missing))
    if data.duplicates:
        parts.append(f"{data.duplicates:,} duplicates")
    unreadable = len(data.quarantined)
    parts.append(f"{unreadable:,} unreadable, left out: {folder / 'quarantine.csv'}" if unreadable else "all readable")
    lines = [" · ".join(parts)]
    if data.labels is not None:
        counts = np.unique(data.labels[data.labels != ""], return_counts=True)[1]
        if len(counts) > 1:
            lines.append(f"label: {len(counts)} classes, largest {counts.max() / counts.min():.0f}x smallest")
    lines += data.notes
    return "\n".join([*lines, *left_out(kinds)])


def left_out(kinds: Mapping[str, Mapping[str, str]], most: int = 6) -> list[str]:
    """Lines on the columns that training does not use, with reasons and remedy.

    Args:
        kinds: Column -> `kind`, and `why` it was chosen.
        most: Largest number of columns named per line.
    """
    lines = []
    for kind, used in (("meta", "for filters and the report alone"), ("ignore", "not used")):
        why = {name: field["why"] for name, field in kinds.items() if field["kind"] == kind}
        if why:
            named = [f"{name} ({_clipped(reason)})" for name, reason in list(why.items())[:most]]
            named += [f"{len(why) - most} more" for _ in why if len(why) > most][:1]
            lines.append(f"{used}: {', '.join(named)}")
    if lines:
        lines.append("to learn from one or split by it: --field COLUMN=text (image, series, label, group, time)")
    return lines


def _clipped(reason: str, most: int = 110) -> str:
    return reason if len(reason) <= most else f"{reason[: most - 1]}…"


def views(modalities: Mapping[str, Modality]) -> str:
    """Augmentation settings that modalities chose from the rows, a line per choice."""
    notes: dict[str, list[str]] = {}
    for name, modality in modalities.items():
        if note := modality.note():
            notes.setdefault(note, []).append(name)
    return "\n".join(f"{', '.join(names)} {note}" for note, names in notes.items())


def split(data: Dataset) -> str:
    """Numbers of training, validation and held-out rows, and how they were divided."""
    held_out = int(data.held_out.sum())
    share = f" ({held_out / max(len(data.ids), 1):.0%})" if data.divided else ""
    how = f": {data.divided}" if data.divided else ""
    validation = f" · {data.validation.sum():,} for validation" if data.validation.any() else ""
    return f"{data.training.sum():,} train{validation} · {held_out:,} held out for evaluation{share}{how}"


def targets(data: Dataset, needs: Collection[str]) -> str:
    """Targets that training learns from, and how to use the others.

    Args:
        data: The dataset.
        needs: Keys of the targets that the method reads.
    """
    lines = []
    for target in {id(target): target for target in data.targets.values()}.values():
        names = {name for name, same in data.targets.items() if same is target}
        kind, classes = type(target).__name__.lower(), target.facts().get("classes")
        if names & set(needs):
            many = f", {classes:,} classes" if classes else ""
            lines.append(f"training learns from '{target.column}' ({kind}{many})")
        elif target.recipe and classes != 1:
            use = "is used for evaluation only" if kind == "label" else "is not learned from"
            lines.append(f"'{target.column}' ({kind}) {use}; to learn from it: --recipe {target.recipe}")
    return "\n".join(lines)


def trained_on(again: int, rows: int) -> str:
    """Warning that evaluated rows were trained on.

    Args:
        again: Number of evaluated rows that were trained on.
        rows: Number of evaluated rows.
    """
    which = "ALL of these rows WERE" if again == rows else f"{again:,} of these {rows:,} rows WERE"
    return f"{which} TRAINED ON: scores on them show what was memorised, not how new rows fare. Evaluate other rows."


HANDFUL = 0.01  # share of rows trained on up to which no score changes by more than a point


def unseen(train: np.ndarray | None, test: np.ndarray | None, most: int = 5) -> str | None:
    """Note on evaluated classes without a training row; None if there are none.

    Args:
        train: (M,) labels of the training rows, "" if unknown.
        test: (N,) labels of the evaluated rows, "" if unknown.
        most: Largest number of classes named.
    """
    if train is None or test is None or not (train != "").any():
        return None
    names, counts = np.unique(test[(test != "") & ~np.isin(test, train)], return_counts=True)
    if not len(names):
        return None
    listed = ", ".join(f"'{name}'" for name in names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))
    return (
        f"{len(names):,} of {len(np.unique(test[test != '']))} classes have no training row ({listed}; "
        f"{counts.sum():,} rows): kNN and linear probe count these as misses, retrieval by label does not need them"
    )


def length(steps: int, order: Sampler, divided: str) -> str:
    """Length of training in steps and epochs.

    Args:
        steps: Number of steps.
        order: The sampler of the run.
        divided: How the run's minutes are divided, "" if minutes do not end it.
    """
    batch, rows = order.sampled.batch, len(order.sampled.rows)
    about = "about " if divided else ""
    looks = steps * batch / rows
    seen = f"{looks:,.0f} looks at each row" if looks >= 1.5 else f"{min(looks, 1):.0%} of the rows seen"
    words = f"{about}{steps:,} steps of {batch:,} rows, {about}{seen}"
    return f"{words}\n{divided}" if divided else words


def compared(moment: StepRecord) -> str:
    """Numbers of anchors, negatives and masked duplicates in a step."""
    return f"{moment.anchors:,.0f} anchors x {moment.negatives:,.0f} negatives · {moment.twins:,} duplicates masked"


def verdict(found: Verdict) -> str:
    """The verdict, and below it the likely causes and the remedy, if any."""
    causes = [f"likely: {cause}" for cause in found.causes]
    return "\n".join([found.words, *causes, *filter(None, [found.offer])])


def scores(table: Sequence[Mapping[str, Any]], most: int = 14) -> str:
    """One line per score: trained with its interval, raw features, the untrained encoder and chance.

    Args:
        table: The scores.
        most: Largest number of lines.
    """
    rows = [row for row in table if row["trained"]]
    if not rows:
        return "none: " + "; ".join(f"{row['name']}: {row['reason']}" for row in table)
    rows, more = rows[:most], len(rows) - most
    width = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        trained = row["trained"]
        beside = [_raw(row)] if row["raw"] else []
        beside += [f"untrained {number(row['untrained']['value'])}"] if row["untrained"] else []
        beside += [f"chance {number(row['chance'])}"] if row["chance"] is not None else []
        ends = NO_INTERVAL if trained["low"] is None else f"[{number(trained['low'])}, {number(trained['high'])}]"
        lines.append(f"{row['name']:<{width}}  {number(trained['value'])} {ends:<14} {' · '.join(beside)}")
    return "\n".join([*lines, f"and {more} more in the report"] if more > 0 else lines)


def _raw(row: Mapping[str, Any]) -> str:
    """The baseline without learning; with the paired difference if it is a rule, which may be hard to beat."""
    name, paired = row.get("raw_name") or RAW, (row.get("paired") or {}).get("raw")
    words = f"{name} {number(row['raw']['value'])}"
    if name == RAW or not paired or paired["low"] is None:
        return words
    ends = interval(paired["low"], paired["high"])
    return f"{words}, {'+' * (paired['value'] > 0)}{number(paired['value'])} {ends} against it"


def indexed(rows: Mapping[str, Mapping[str, int]] | None) -> str:
    """Note that an index of the run's rows is partial; "" if it is not.

    Args:
        rows: Entry `rows` of scores.json, per part the rows evaluated and the rows there are; None in old runs.
    """
    there, of = (sum(part[n] for part in (rows or {}).values()) for n in ("evaluated", "of"))
    if there >= of:
        return ""
    return f"the run embedded {there:,} of its {of:,} rows, and those are indexed; for all of them, name the data"


def next_steps(folder: Path, model: Model, *, some: bool = False) -> str:
    """Commands to go on with.

    Args:
        folder: The run folder.
        model: The trained model.
        some: Whether the run embedded only part of its rows, so that an index of all needs the data.
    """
    typed = any(modality.typed for modality in model.modalities.values())
    query = '"a few words"' if typed else "--like FILE"
    data = f" {shlex.quote(model.experiment.source.data)}" if some and model.experiment.source.data != "memory" else ""
    lines = [f"index {folder}{data}", f"search {folder} {query}", f"report {folder} --open"]
    lines += [f"alone {folder}    which task helped which"] if len(model.experiment.tasks) > 1 else []
    return "\n".join(f"kontrast {line}" for line in lines)
