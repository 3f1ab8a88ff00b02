"""Training step: encode, compute the loss, backpropagate; in one or several passes and ranks."""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from kontrast.core import containers, random_streams
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.ranks import Ranks
from kontrast.core.shards import sharded
from kontrast.data.view import Batch
from kontrast.encoders.encoders import EncodedViews, Encoders
from kontrast.tasks.task import Output, Task
from kontrast.training.learner import Batches, Learner, Rows
from kontrast.training.task_gradients import measurable, needs_each, of_tasks

Outputs = Mapping[tuple[str, str], Output]
"""(Task, name) -> what it gave in a pass."""


@dataclass(frozen=True)
class Outcome:
    """Results of a step.

    Attributes:
        loss: Weighted sum of the terms over all ranks.
        terms: Value of each term of the loss.
        anchors: Anchors compared, over all ranks.
        negatives: Negative pairs, over all ranks; divide by `anchors` for the mean per anchor.
        rows: Task -> name -> embeddings of this rank, detached.
        chance: Loss of uninformative embeddings; None if a term has no such value.
        skipped: Tasks without an anchor on any rank.
        norms: Task -> norm of its gradient with respect to the shared parameters; empty if not measured.
        cosines: Pair of tasks -> cosine of these gradients; empty if not measured.
        factors: Task -> factor that the aggregator gave its loss or gradient; empty if it chooses none.
    """

    loss: float
    terms: Mapping[str, float]
    anchors: float
    negatives: float
    rows: Rows
    chance: float | None = None
    skipped: tuple[str, ...] = ()
    norms: Mapping[str, float] = field(default_factory=dict)
    cosines: Mapping[str, float] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)


def step(
    learner: Learner,
    encode: nn.Module,
    batches: Batches,
    ranks: Ranks,
    *,
    seed: int,
    passes: int | None = None,
    no_sync: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    measure: bool = False,
) -> Outcome:
    """Leaves the gradient of the global mean loss in every parameter.

    The graph is always cut at the embeddings, so their gradient is the same whether the encoder's graph was kept (one
    pass) or is run again (gradient caching, `passes` rows at a time).

    Args:
        learner: Encoders and tasks.
        encode: The learner as the launcher wrapped it.
        batches: Views and keys of this rank's rows, by group.
        ranks: Rank and number of processes.
        seed: Seed of the step, equal on all ranks.
        passes: Rows per pass; None for all at once.
        no_sync: Context factory in which gradients stay on their rank. Default none.
        measure: Whether to measure the gradient of each task, if several tasks run in one pass: a backward pass per
            task. An aggregator of gradients measures them anyway. Default False.

    Reference:
        Gao et al. 2021, arXiv:2101.06983 (gradient caching).
    """
    cuts, apart = _cuts(batches, passes, ranks), needs_each(learner)
    device = next(iter(batches.values())).keys["id"].device

    def run(k: int) -> Outputs:
        random_streams.sow(seed + 7919 * ranks.rank + k, device)  # equal dropout in both runs, and after a resume
        return _flat(encode(*containers.flattened(_cut(batches, cuts[k]))))

    with torch.set_grad_enabled(len(cuts) == 1), no_sync() if apart else contextlib.nullcontext():
        kept = [run(k) for k in range(len(cuts))]
    leaves = {name: torch.cat([out[name].z for out in kept]).detach().requires_grad_() for name in kept[0]}
    fixed = [_flat(learner.targets(_cut(batches, cut))) for cut in cuts] if learner.has_targets else [{}]
    rows = _rows(learner, batches, kept, leaves) | _rows(
        learner, batches, fixed, {name: torch.cat([out[name].z for out in fixed]) for name in fixed[0]}
    )
    terms = learner.compute_loss(_by_task(learner, rows), ranks)
    scaled, values = ranks.scale(means := _named(terms))
    losses, aggregator = _per_task(learner, scaled), learner.aggregator
    own = [p for p in learner.parameters() if p.requires_grad and not sharded(p)]
    gradients = None
    if apart or (measure and measurable(learner, passes)):
        outputs = {name: out.z for name, out in kept[0].items()}
        gradients = of_tasks(learner, losses, outputs, leaves, ranks, keep=not apart)
    if apart and gradients and aggregator:
        gradients.assign(weights := gradients.weights(aggregator, seed))
        factors = dict(zip(gradients.tasks, weights.tolist(), strict=True))
    else:
        factors = aggregator.learned() if aggregator else {}
        loss = aggregator.combine(losses, ranks) if aggregator else torch.stack([*scaled.values()]).sum()
        _send_back(loss, leaves, own, kept, run, cuts, ranks, no_sync)
    for p in own:  # unused parameters still decay and keep their momentum, as on several ranks
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    kept_rows = _by_task(learner, {name: r.detach() for name, r in rows.items()})
    outcome = replace(_outcome(learner, means, values, kept_rows, ranks), factors=factors)
    return replace(outcome, norms=gradients.norms, cosines=gradients.cosines) if gradients else outcome


def _send_back(
    loss: Tensor,
    leaves: Mapping[tuple[str, str], Tensor],
    own: Sequence[nn.Parameter],
    kept: Sequence[Outputs],
    run: Callable[[int], Outputs],
    cuts: Sequence[Mapping[str, slice]],
    ranks: Ranks,
    no_sync: Callable[[], AbstractContextManager[object]],
) -> None:
    """Goes back from the loss to the leaves, and from these through the encoders, pass by pass."""
    slopes = torch.autograd.grad(loss, [*leaves.values(), *own], allow_unused=True, materialize_grads=ranks.world > 1)
    back = {n: torch.zeros_like(z) if d is None else d for (n, z), d in zip(leaves.items(), slopes, strict=False)}
    learned = [(p, d) for p, d in zip(own, slopes[len(leaves) :], strict=True) if d is not None]
    starts = dict.fromkeys(leaves, 0)
    for k in range(len(cuts)):
        last = k == len(cuts) - 1
        with contextlib.nullcontext() if last else no_sync():
            out, sent = kept[k] if len(cuts) == 1 else run(k), []
            for name, (z, *_) in out.items():
                part = back[name][starts[name] : starts[name] + len(z)]
                starts[name] += len(z)
                sent += [(z, part)] if z.requires_grad else []
            # On several ranks every parameter takes part once, so that none waits for a modality it did not see.
            sent += learned if last else []
            torch.autograd.backward([z for z, _ in sent], [d for _, d in sent])


@torch.no_grad()
def rows_of(learner: Learner, batches: Batches) -> dict[str, dict[str, Embeddings]]:
    """Embeddings of all tasks in float32, without a step: task -> name -> rows with their keys."""
    with learner.encoders.plain():
        found = [_flat(learner(*containers.flattened(batches))), _flat(learner.targets(batches))]
    parts = [_rows(learner, batches, [out], {name: z for name, (z, *_) in out.items()}) for out in found]
    return _by_task(learner, parts[0] | parts[1])


@torch.no_grad()
def task_rows(encoders: Encoders, task: Task, batch: Batch) -> dict[str, Embeddings]:
    """Embeddings of one task in float32, without a step: name -> rows with their keys.

    Args:
        encoders: The encoders of its run.
        task: The task.
        batch: Its views, by its own names.
    """
    with encoders.plain():
        found = {
            **task(EncodedViews(encoders), batch),
            **task.targets(EncodedViews(encoders, targets=True), batch),
        }
    views = torch.zeros_like(batch.keys["id"])
    return {
        key: Embeddings(out.z.float(), {**batch.keys, **batch.views[out.view].keys, **out.keys, "view": views + 64 * k})
        for k, (key, out) in enumerate(found.items())
    }


def _outcome(
    learner: Learner, means: Mapping[str, LossTerm], values: Mapping[str, float], rows: Rows, ranks: Ranks
) -> Outcome:
    """Values and counts of a step over all ranks."""
    total = sum(means[name].weight * value for name, value in values.items())
    sums = ranks.sum(torch.stack([_counted(mean) for mean in means.values()])).tolist()
    anchors, negatives = (sum(part) for part in zip(*(counted[:2] for counted in sums), strict=True))
    level = sum(m.weight * c / n for m, (n, _, c) in zip(means.values(), sums, strict=True) if n)
    seen = {name.partition(".")[0] for name in values} if len(learner.tasks) > 1 else set(learner.tasks)
    skipped = tuple(name for name in learner.tasks if name not in seen)
    return Outcome(total, values, anchors, negatives, rows, level if math.isfinite(level) else None, skipped)


def _flat(found: Mapping[str, Mapping[str, Output]]) -> Outputs:
    return {(task, name): out for task, outs in found.items() for name, out in outs.items()}


def _rows(
    learner: Learner, batches: Batches, passes: Sequence[Outputs], z: Mapping[tuple[str, str], Tensor]
) -> dict[tuple[str, str], Embeddings]:
    """Embeddings with the keys of their rows, of their view, and those that the task added in its passes."""
    rows = {}
    for task, name in z:
        parts = [out[task, name] for out in passes]
        own = {key: torch.cat([part.keys[key] for part in parts]) for key in parts[0].keys}
        rows[task, name] = Embeddings(z[task, name], {**learner.keys(task, parts[0].view, batches), **own})
    return rows


def _by_task(learner: Learner, rows: Mapping[tuple[str, str], Embeddings]) -> dict[str, dict[str, Embeddings]]:
    """The rows of each task; `view` numbers its outputs, so that id and view name a row everywhere."""
    found: dict[str, dict[str, Embeddings]] = {task: {} for task in learner.tasks}
    for (task, name), r in rows.items():
        view = torch.full_like(r.keys["id"], 64 * len(found[task]))
        found[task][name] = Embeddings(r.z, {**r.keys, "view": view})
    return found


def _named(terms: Mapping[str, Mapping[str, LossTerm]]) -> dict[str, LossTerm]:
    """All terms by one name; the task's name stands before it if there are several."""
    if len(terms) == 1:
        return dict(*terms.values())
    return {f"{task}.{name}": mean for task, means in terms.items() for name, mean in means.items()}


def _per_task(learner: Learner, scaled: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sum of the scaled terms of each task; a task without an anchor is left out."""
    if len(learner.tasks) == 1:
        return {name: torch.stack([*scaled.values()]).sum() for name in learner.tasks}
    parts: dict[str, list[Tensor]] = {}
    for name, loss in scaled.items():
        parts.setdefault(name.partition(".")[0], []).append(loss)
    return {task: torch.stack(some).sum() for task, some in parts.items()}


def _counted(mean: LossTerm) -> Tensor:
    """(3,): anchors, negative pairs, and the summed loss of uninformative embeddings, NaN if unknown."""
    level = torch.nan if mean.chance is None else mean.chance
    parts = (exact(mean.count), _number(mean.negatives, mean.count), _number(level, mean.count))
    return torch.stack([part.to(parts[0].dtype) for part in parts])


def _cut(batches: Batches, cut: Mapping[str, slice]) -> Batches:
    return {group: batch[cut[group]] for group, batch in batches.items()}


def _cuts(batches: Batches, passes: int | None, ranks: Ranks) -> list[dict[str, slice]]:
    """Rows of each pass, by group.

    Every rank makes as many passes as the largest one needs, since encoders may wait for one another. `passes` bounds
    the largest group; the rows of the others spread over as many passes.
    """
    if passes is None:
        return [{group: slice(0, len(batch)) for group, batch in batches.items()}]
    most = {g: int(ranks.max(b.keys["id"].new_full((1,), len(b)))) for g, b in batches.items()}
    number = max(1, math.ceil(max(most.values()) / passes))
    largest = max(most.values())
    each = {g: passes if n == largest else math.ceil(n / number) for g, n in most.items()}
    return [
        {g: slice(min(k * each[g], len(b)), min((k + 1) * each[g], len(b))) for g, b in batches.items()}
        for k in range(number)
    ]


def _number(n: Tensor | float, like: Tensor) -> Tensor:
    return exact(torch.as_tensor(n, dtype=torch.float32 if isinstance(n, float) else None, device=like.device))
