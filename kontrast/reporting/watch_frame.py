"""One frame of `kontrast watch`: a run as aligned lines of text, for a terminal or a pipe."""

import itertools
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from kontrast.core.errors import printable
from kontrast.core.number_format import clock, interval, many, number, share
from kontrast.evaluation.look import NUMBERS
from kontrast.evaluation.verdict import wrong
from kontrast.training.health import Health

if TYPE_CHECKING:
    from rich.text import Text

State = Literal["preparing", "training", "evaluating", "finished", "stopped"]
COLUMN = 12
HEALTH = tuple(part.name for part in fields(Health))
BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, as plain values.

    Attributes:
        name: Name of the run folder.
        state: What the run does.
        who: The process that writes to the folder, or how to go on, in words.
        data: Data and recipe in a line; "" if not known yet.
        step: Newest record of metrics.jsonl; empty before the first step.
        losses: (step, loss) from the start, thinned out.
        health: Newest record with health statistics; empty before the first.
        looks: Lines of validation.jsonl: {"step", "seconds", "cost", "rows", "values": {name: number}}.
        messages: (time, name, words) of the messages so far.
        verdict: Verdict of a finished run, else empty.
        scores: Scores of a finished run, as in scores.json.
    """

    name: str
    state: State
    who: str = ""
    data: str = ""
    step: Mapping[str, Any] = field(default_factory=dict)
    losses: Sequence[tuple[float, float]] = ()
    health: Mapping[str, Any] = field(default_factory=dict)
    looks: Sequence[Mapping[str, Any]] = ()
    messages: Sequence[tuple[str, str, str]] = ()
    verdict: Mapping[str, Any] = field(default_factory=dict)
    scores: Sequence[Mapping[str, Any]] = ()


def frame(now: Snapshot, width: int = 100, height: int = 40) -> "Text":
    """The frame as styled text.

    Args:
        now: The run.
        width: Columns of the terminal. Default 100.
        height: Lines of the terminal; the oldest messages are left out. Default 40.
    """
    from rich.text import Text

    lines = [*_top(now, width), *_training(now, width), *_validation(now, width), *_end(now, width)]
    room = max(height - len(lines) - 1, 3)
    lines += _messages(now, room)
    made = Text()
    for name, words in lines:
        style = "bold red" if wrong(words) or "COLLAPSED" in words else ""
        made.append(f"{printable(name):<{COLUMN - 1}} ", "bold cyan")
        made.append(printable(words)[: max(width - COLUMN, 20)] + "\n", style)
    return made


def spark(values: Sequence[float], width: int) -> str:
    """A curve in one line of blocks, from the smallest value to the largest; a dot marks a value that is not finite.

    Args:
        values: Values in order; more than `width` are averaged in equal parts.
        width: Largest number of letters.
    """
    edges = [round(at * len(values) / width) for at in range(width + 1)] if len(values) > width else None
    parts = [values[a:b] for a, b in itertools.pairwise(edges)] if edges else [[value] for value in values]
    means = [sum(part) / len(part) for part in parts]
    known = [mean for mean in means if math.isfinite(mean)]
    low, reach = min(known, default=0.0), (max(known, default=0.0) - min(known, default=0.0)) or 1.0
    return "".join(
        BLOCKS[min(int((mean - low) / reach * len(BLOCKS)), len(BLOCKS) - 1)] if math.isfinite(mean) else "·"
        for mean in means
    )


def _top(now: Snapshot, width: int) -> Iterator[tuple[str, str]]:
    yield "run", f"{now.name} · {now.state}{f' · {now.who}' if now.who else ''}"
    if now.data:
        yield "data", now.data
    step = now.step
    if not step:
        return
    done, total, seconds = step["step"], max(step.get("total") or step["step"], 1), step.get("seconds") or 0.0
    part = min(done / total, 1.0)
    left = f" · {clock((total - done) * seconds / max(done, 1))} left" if now.state == "training" else ""
    size = max(min(width - 70, 40), 10)
    full = min(size, int(part * size))
    bar = "━" * full + "╺" * (full < size) + "─" * max(0, size - full - 1)
    yield "progress", f"{part:4.0%} {bar}  step {done:,} of {total:,} · {clock(seconds)}{left}"


def _training(now: Snapshot, width: int) -> Iterator[tuple[str, str]]:
    step = now.step
    if now.losses:
        first, last = now.losses[0][1], now.losses[-1][1]
        chance = f" · {number(step['chance'])} knowing nothing" if step.get("chance") is not None else ""
        line = spark([loss for _, loss in now.losses], max(width - COLUMN - 45, 20))
        yield "loss", f"{line}  {number(last)} from {number(first)}{chance}"
    if len(step.get("terms") or {}) > 1:
        yield "terms", " · ".join(f"{name} {number(value)}" for name, value in step["terms"].items())
    if step.get("rate") is not None:
        words = [f"{number(step['rate'])} rows/s", f"data wait {share(step.get('wait') or 0.0)}"]
        words += [f"learning rate {number(step['learning_rate'])}"] if step.get("learning_rate") is not None else []
        words += [f"gradient norm {number(step['gradient'])}"] if step.get("gradient") is not None else []
        yield "rate", " · ".join(words)
    if now.health:
        found = now.health["health"]
        named = (("effective_rank", "effective rank"), ("spread", "spread"), ("alignment", "alignment"))
        words = [f"{title} {number(found[key])}" for key, title in named if found.get(key) is not None]
        words += [f"uniformity {number(found['uniformity'])}"] if found.get("uniformity") is not None else []
        gone = "COLLAPSED · " if Health(**{name: found.get(name, 0) for name in HEALTH}).collapsed else ""
        yield "health", f"{gone}{' · '.join(words)} · at step {now.health['step']:,}"


def _validation(now: Snapshot, width: int) -> Iterator[tuple[str, str]]:
    if not now.looks:
        return
    last = now.looks[-1]
    spent, trained = sum(look.get("cost") or 0.0 for look in now.looks), last.get("seconds") or 0.0
    part = f" · {share(spent / trained)} of the time" if trained else ""
    yield "validation", f"{many(len(now.looks), 'look')} at {many(last.get('rows') or 0, 'row')}{part}"
    size = min(max(width - COLUMN - 62, 8), 40)
    for key, kind in NUMBERS.items():
        known = [(look["step"], look["values"][key]) for look in now.looks if look["values"].get(key) is not None]
        if not known:
            continue
        line = spark([value for _, value in known], size)
        words = f"{kind.title:<13} {line:<{min(size, len(now.looks))}}  {number(known[-1][1]):<6}"
        words += f" from {number(known[0][1])}"
        if kind.rises is not None:
            at, best = max(known, key=lambda one: (one[1] if kind.rises else -one[1], one[0]))
            words += f", best {number(best)} at step {at:,}"
        yield "", words


def _end(now: Snapshot, width: int) -> Iterator[tuple[str, str]]:
    if now.verdict:
        words = textwrap.wrap(str(now.verdict.get("words") or now.verdict.get("state")), max(width - COLUMN, 20))
        yield from (("verdict" if at == 0 else "", line) for at, line in enumerate(words))
        yield from (("", f"likely: {cause}") for cause in now.verdict.get("causes") or ())
    name = "scores"
    for row in [row for row in now.scores if row.get("trained") and row.get("chance") is not None][:5]:
        value, base = row["trained"], row.get("untrained") or {}
        before = f" · untrained {number(base['value'])}" if base.get("value") is not None else ""
        between = interval(value.get("low"), value.get("high"))
        yield name, f"{row['name']} {number(value.get('value'))} {between}".rstrip() + before
        name = ""


def _messages(now: Snapshot, room: int) -> list[tuple[str, str]]:
    """Lines of the newest messages, as many as there is room for."""
    lines = []
    for when, name, words in now.messages:
        first, *more = words.split("\n")
        lines += [f"{when[11:19]}  {name:<10} {first}", *(f"{'':<20} {line}" for line in more)]
    lines = lines[-room:]
    return [("messages" if at == 0 else "", line) for at, line in enumerate(lines)]
