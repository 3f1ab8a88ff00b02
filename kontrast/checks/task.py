"""`check_task`: the checks that every task of this project passes, for any task."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from kontrast.checks.processes import MAIN, Trace, doubles, same, single_task, trace
from kontrast.checks.results import Broken, Doubt, Finding, finite, near, run_check
from kontrast.checks.tiny_fields import FIELDS, WIDTH
from kontrast.core import factory, registry
from kontrast.core.clock import Clock
from kontrast.core.errors import UserError
from kontrast.core.ranks import RankFailed, Ranks, on_ranks
from kontrast.core.task_choice import RESERVED
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import Encoders
from kontrast.layers.rank_norm import over_ranks
from kontrast.tasks.task import Task
from kontrast.training.learner import Learner
from kontrast.training.step import step

ROWS = (12, 5, 7)  # of three steps: uneven on 2 and 3 ranks
CLASSES, TAUGHT = 3, 5
NAMES = {"image": "picture", "text": "text", "series": "series", "points": "cloud"}
ALONE = ("text", "series", "points")  # kinds that a task is tried on if it refuses pictures
NUMBERS = {"mean": 2.0, "std": 1.5}


def check_task(
    name: str,
    *,
    settings: Mapping[str, Any] | None = None,
    worlds: Sequence[int] = (2,),
    progress: Callable[[Finding], None] | None = None,
) -> list[Finding]:
    """Findings on a task: contract, settings, and what must hold of any task.

    It runs on made-up pictures, or with texts, on series or on clouds if it refuses these, with all targets, in
    float64. In a script, call it under `if __name__ == "__main__":`, since it starts processes.

    Args:
        name: A task of this project (`simclr`) or your own (`my_lab.ideas:TwoCrops`).
        settings: Settings of the task.
        worlds: Numbers of processes to compare with one, on this machine; each takes seconds.
        progress: Called with every finding as it comes.

    Raises:
        UserError: an unknown name, a class that is no task, or a wrong setting.
    """
    chosen = dict(settings or {})
    learner_of(name, chosen)  # a wrong setting is reported before any check runs
    properties: dict[str, Callable[[Any], str]] = {
        "settings": partial(_settings, name),
        "a step": partial(_step, name, chosen),
        "passes = one pass": partial(_passes, name, chosen),
        "copies and weights": partial(_copies, name, chosen),
        "unknown targets": partial(_unknown, name, chosen),
    }
    for world in worlds:
        properties[f"{world} processes = 1"] = partial(_processes, name, chosen, world)
    findings = []
    with torch.random.fork_rng(devices=[]):
        for title, holds in properties.items():
            findings.append(run_check(title, holds, lambda: learner_of(name, chosen)))
            if progress is not None:
                progress(findings[-1])
    return findings


def learner_of(name: str, settings: Mapping[str, Any]) -> Learner:
    """A learner of the task on a tiny encoder, float64, with the weights of a fixed seed."""
    made: type[Task] = registry.load("tasks", name)
    number, refused = max(made.min_fields, 1), []
    mixed = ["image"] * (number - 1) + ["text"]
    for kinds in (["image"] * number, mixed, *([kind] * number for kind in ALONE)):
        try:
            return _learner(name, settings, {f"{NAMES[kind]} {n}": kind for n, kind in enumerate(kinds, 1)})
        except UserError as error:
            refused.append(error)
    raise refused[0]


def _learner(name: str, settings: Mapping[str, Any], kinds: Mapping[str, str]) -> Learner:
    """The same on fields of these kinds."""
    with doubles():
        nets = {kind: FIELDS[kind].encoder() for kind in dict.fromkeys(kinds.values())}
        info = EncoderInfo(
            dict.fromkeys(kinds, WIDTH),
            dict.fromkeys(kinds, WIDTH),
            kinds,
            kinds,
            {f: FIELDS[k].facts for f, k in kinds.items()},
            {f: nets[k].causal for f, k in kinds.items()},
        )
        encoders = Encoders(nets, kinds, info)
        given = {"encoders": info, "classes": CLASSES, "class_counts": [4] * CLASSES, "samples": max(ROWS)}
        given["target_facts"] = {**{key: {"classes": CLASSES} for key in ("label", "labels")}, "number": NUMBERS}
        given["target_facts"]["teacher"] = {"width": TAUGHT}
        task: Task = factory.build("tasks", name, settings, given=given)
        return single_task(task.double(), encoders.double())


def batch_of(learner: Learner, n: int, seed: int, *, known: bool = True) -> Batch:
    """A batch of n made-up samples with all targets, or with unknown ones."""
    g = torch.Generator().manual_seed(seed)
    ids, views = torch.arange(n), {}
    kinds = learner.encoders.info.modalities
    whole = {field: FIELDS[kind].rows(n, g) for field, kind in kinds.items()}
    for name, spec in learner.drawn[""].items():
        views[name] = View(spec.field, FIELDS[kinds[spec.field]].view(whole[spec.field], g))
    label = ids % CLASSES
    keys = {
        "id": ids,
        "sample": ids,
        "label": label if known else -1 - ids,
        "labels": nn.functional.one_hot(label, CLASSES).float() * (1.0 if known else torch.nan),
        "soft": nn.functional.one_hot(label, CLASSES).double() * float(known),
        "teacher": torch.randn(n, TAUGHT, generator=g).double() * float(known),
        "group": ids % 2,
        "sensitive": ids % 2,
        "time": ids.double(),
    }
    keys |= {name: (ids * 7 % 5).double() if known else torch.full((n,), torch.nan).double() for name in _NUMBERS}
    for field in learner.encoders.info.fields:
        keys |= {f"has {field}": ids >= 0, f"content {field}": ids}
    return Batch(views, keys)


_NUMBERS = ("number", "score")


def traced(ranks: Ranks, name: str, settings: Mapping[str, Any], passes: int | None = None) -> Trace:
    """Three steps of the task on this rank's part of the rows."""
    with doubles():
        learner = learner_of(name, settings)
        if ranks.world > 1:
            over_ranks(learner, torch.device("cpu"))
            learner.encoders.together = True
        return trace(ranks, learner, [batch_of(learner, n, seed) for seed, n in enumerate(ROWS)], passes=passes)


def _settings(name: str, _: object) -> str:
    made = registry.load("tasks", name)
    found = [key for key, _, _ in factory.settings_of(made) if key != "encoders"]
    taken = [key for key in found if key in RESERVED]
    if taken:
        raise Broken(f"{', '.join(taken)}: a run has these for every task, so no task may have them for settings")
    return ", ".join(found) or "none"


def _step(name: str, settings: Mapping[str, Any], _: object) -> str:
    learner = learner_of(name, settings)
    batch = batch_of(learner, ROWS[0], 0)
    learner.begin(Clock(0, 0.0))
    outcome = step(learner, learner, {"": batch}, Ranks(alone=True), seed=0)
    finite("the loss", torch.tensor(outcome.loss))
    slopes = {n: p.grad for n, p in learner.encoders.networks.named_parameters() if p.grad is not None}
    finite("the gradient of the encoder", *slopes.values())
    if not any(float(slope.abs().sum()) > 0 for slope in slopes.values()):
        raise Broken("no gradient reaches the encoder: does `forward` use encoders(batch, names)?")
    learner.after_update(outcome.rows, Ranks(alone=True))
    for field, view in {view.field: view for view in batch.views.values()}.items():
        finite(f"the embedding of '{field}'", learner.eval().embed(field, view.data))
    if not learner.positive_pairs(outcome.rows):
        return f"loss {outcome.loss:.3g}, {outcome.anchors:.0f} anchors; no positive pairs for the verdict"
    return f"loss {outcome.loss:.3g}, {outcome.anchors:.0f} anchors, {outcome.negatives:.0f} negative pairs"


def _passes(name: str, settings: Mapping[str, Any], _: object) -> str:
    norms = [n for n, part in learner_of(name, settings).tasks.named_modules() if isinstance(part, _BatchNorm)]
    if norms:
        return f"not comparable: its batch norms ({', '.join(norms)}) see a pass, not the batch"
    alone = Ranks(alone=True)
    torch.manual_seed(0)
    one = traced(alone, name, settings)
    torch.manual_seed(0)
    same(one, [traced(alone, name, settings, passes=4)], relative=1e-7, absolute=1e-9)
    return "loss, gradients and weights of three steps in passes of 4 rows"


def _copies(name: str, settings: Mapping[str, Any], _: object) -> str:
    learner = learner_of(name, settings)
    twin = copy.deepcopy(learner)
    twin.load_state_dict(learner.state_dict())
    near("after a copy, a weight", twin.state_dict().values(), learner.state_dict().values(), relative=0, absolute=0)
    return f"{sum(p.numel() for p in learner.tasks.parameters()):,} parameters of its own"


def _unknown(name: str, settings: Mapping[str, Any], _: object) -> str:
    learner = learner_of(name, settings)
    needs = sorted(learner.needs - {"sample"})
    if not needs:
        return "it needs none"
    rows = batch_of(learner, ROWS[0], 0, known=False)
    learner.begin(Clock(0, 0.0))
    try:
        outcome = step(learner, learner, {"": rows}, Ranks(alone=True), seed=0)
    except ValueError:  # no anchor at all
        return f"rows without {', '.join(needs)} give no anchor"
    if not torch.isfinite(torch.tensor(outcome.loss)):
        raise Broken(f"rows without {', '.join(needs)} give a loss of {outcome.loss}; leave them out")
    if MAIN in learner.groups and outcome.anchors > len(rows) * max(1, len(rows.views)):
        raise Doubt(f"{outcome.anchors:.0f} anchors of {len(rows)} rows whose {', '.join(needs)} is unknown")
    return f"rows without {', '.join(needs)}: {outcome.anchors:.0f} anchors, loss {outcome.loss:.3g}"


def _processes(name: str, settings: Mapping[str, Any], world: int, _: object) -> str:
    one = traced(Ranks(alone=True), name, settings)
    try:
        many = on_ranks(traced, world, name, dict(settings))
    except RankFailed as failed:
        raise Broken(str(failed).split("\n", 1)[0]) from failed
    same(one, many, relative=1e-7, absolute=1e-9)
    return f"loss, gradients and weights of {len(ROWS)} steps"
