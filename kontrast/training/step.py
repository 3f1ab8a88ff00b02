"""Training step: encode, compute the loss, backpropagate; in one or several passes and ranks."""

import contextlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kontrast.core import random_streams
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.ranks import Ranks
from kontrast.core.shards import sharded
from kontrast.data.dataset.reader import Batch
from kontrast.tasks.task import Task


@dataclass(frozen=True)
class Outcome:
    """Results of a step.

    Attributes:
        loss: Weighted sum of the terms over all ranks.
        terms: Value of each term of the loss.
        anchors: Anchors compared, over all ranks.
        negatives: Negative pairs, over all ranks; divide by `anchors` for the mean per anchor.
        rows: Embeddings of this rank by name, detached.
        chance: Loss of uninformative embeddings; None if a term has no such value.
    """

    loss: float
    terms: Mapping[str, float]
    anchors: float
    negatives: float
    rows: Mapping[str, Embeddings]
    chance: float | None = None


def step(
    method: Task,
    encode: nn.Module,
    batch: Batch,
    ranks: Ranks,
    *,
    seed: int,
    passes: int | None = None,
    no_sync: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> Outcome:
    """Leaves the gradient of the global mean loss in every parameter.

    The graph is always cut at the embeddings, so their gradient is the same whether the encoder's graph was kept (one
    pass) or is run again (gradient caching, `passes` rows at a time).

    Args:
        method: Method to train.
        encode: The method as the launcher wrapped it.
        batch: Views and keys of this rank's rows.
        ranks: Rank and number of processes.
        seed: Seed of dropout.
        passes: Rows per pass; None for all at once.
        no_sync: Context factory in which gradients stay on their rank. Default none.

    Reference:
        Gao et al. 2021, arXiv:2101.06983 (gradient caching).
    """
    cuts = _cuts(batch, passes, ranks)

    def run(k: int) -> dict[str, Tensor]:
        random_streams.sow(seed + k, batch.keys["id"].device)  # equal dropout in both runs, and after a resume
        return encode(batch[cuts[k]].views, batch[cuts[k]].keys)

    with torch.set_grad_enabled(len(cuts) == 1):
        kept = [run(k) for k in range(len(cuts))]
    leaves = {name: torch.cat([out[name] for out in kept]).detach().requires_grad_() for name in kept[0]}
    with torch.no_grad():
        fixed = method.targets(batch.views, batch.keys)
    view = torch.zeros_like(batch.keys["id"])
    rows = {
        name: Embeddings(z, {**batch.keys, "view": view + 64 * k})
        for k, (name, z) in enumerate({**leaves, **fixed}.items())
    }
    loss, terms = ranks.divide(means := method.compare(rows, ranks))
    own = [p for p in method.parameters() if p.requires_grad and not sharded(p)]
    slopes = torch.autograd.grad(loss, [*leaves.values(), *own], allow_unused=True, materialize_grads=ranks.world > 1)
    back = {n: torch.zeros_like(z) if d is None else d for (n, z), d in zip(leaves.items(), slopes, strict=False)}
    learned = [(p, d) for p, d in zip(own, slopes[len(leaves) :], strict=True) if d is not None]
    for k, cut in enumerate(cuts):
        last = k == len(cuts) - 1
        with contextlib.nullcontext() if last else no_sync():
            out = kept[k] if len(cuts) == 1 else run(k)
            sent = [(z, back[name][cut]) for name, z in out.items() if z.requires_grad]
            # On several ranks every parameter takes part once, so that none waits for a modality it did not see.
            sent += learned if last else []
            torch.autograd.backward([z for z, _ in sent], [d for _, d in sent])
    for p in own:  # unused parameters still decay and keep their momentum, as on several ranks
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    total = sum(means[name].weight * value for name, value in terms.items())
    sums = ranks.sum(torch.stack([_counted(mean) for mean in means.values()])).tolist()
    anchors, negatives = (sum(part) for part in zip(*(counted[:2] for counted in sums), strict=True))
    level = sum(m.weight * c / n for m, (n, _, c) in zip(means.values(), sums, strict=True) if n)
    kept = {name: r.detach() for name, r in rows.items()}
    return Outcome(total, terms, anchors, negatives, kept, level if math.isfinite(level) else None)


def _counted(mean: LossTerm) -> Tensor:
    """(3,): anchors, negative pairs, and the summed loss of uninformative embeddings, NaN if unknown."""
    level = torch.nan if mean.chance is None else mean.chance
    parts = (exact(mean.count), _number(mean.negatives, mean.count), _number(level, mean.count))
    return torch.stack([part.to(parts[0].dtype) for part in parts])


def _cuts(batch: Batch, passes: int | None, ranks: Ranks) -> list[slice]:
    """Rows of each pass.

    Every rank makes as many passes as the largest one needs, since encoders may wait for one another.
    """
    rows = len(batch)
    if passes is None:
        return [slice(0, rows)]
    most = int(ranks.max(batch.keys["id"].new_full((1,), rows)))
    return [slice(min(k, rows), min(k + passes, rows)) for k in range(0, max(most, 1), passes)]


def _number(n: Tensor | float, like: Tensor) -> Tensor:
    return exact(torch.as_tensor(n, dtype=torch.float32 if isinstance(n, float) else None, device=like.device))
